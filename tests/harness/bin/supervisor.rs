//! Stops what a test process has started, after its end. The harness starts it; see [`local::supervisor`].

fn main() -> anyhow::Result<()> {
    local::supervisor::serve()
}
