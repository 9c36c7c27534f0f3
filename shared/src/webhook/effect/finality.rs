//! Which of two statuses of the same instant is the later one.

/// How final a status is. This orders two events of the same instant, whichever arrives first.
///
/// | Rank | Meaning | Statuses |
/// |---|---|---|
/// | 0 | not started | created, new, draft, pending, scheduled, initiated, submitted, incomplete, unverified, `requires_payment_method`, `requires_confirmation`, `requires_action` |
/// | 1 | in progress | processing, `in_progress`, authorized, `requires_capture`, active, suspended, and every status that is not in this table |
/// | 2 | decided | succeeded, success, completed, complete, paid, captured, settled, posted, failed, declined, rejected, canceled, cancelled, voided, expired |
/// | 3 | partly reversed | `partially_refunded`, disputed |
/// | 4 | ended | refunded, reversed, `charged_back`, chargeback, closed, deleted, terminated |
///
/// Case is ignored, and `-` and a space are read as `_`.
#[must_use]
pub fn finality(status: &str) -> i16 {
    match status.to_ascii_lowercase().replace(['-', ' '], "_").as_str() {
        "created"
        | "new"
        | "draft"
        | "pending"
        | "scheduled"
        | "initiated"
        | "submitted"
        | "incomplete"
        | "unverified"
        | "requires_payment_method"
        | "requires_confirmation"
        | "requires_action" => 0,
        "succeeded" | "success" | "completed" | "complete" | "paid" | "captured" | "settled" | "posted"
        | "failed" | "declined" | "rejected" | "canceled" | "cancelled" | "voided" | "expired" => 2,
        "partially_refunded" | "disputed" => 3,
        "refunded" | "reversed" | "charged_back" | "chargeback" | "closed" | "deleted" | "terminated" => 4,
        _ => 1,
    }
}
