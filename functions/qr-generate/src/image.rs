//! The image of a code: the options of a request, the text that the symbol holds, and the tag for caches.

use shared::fields::{FieldError, InvalidFields};
use shared::http::Body;
use shared::qr::short_url::{short_url, symbol_url};
use tessera_symbol::{Format, ImageOptions, Symbol, fingerprint};
use url::Url;

/// How an image was asked for. Which code it is of comes with each call.
pub(crate) struct RequestedImage {
    format: Format,
    options: ImageOptions,
}

impl RequestedImage {
    /// Reads the query, and names every parameter that is wrong.
    pub(crate) fn parse(format: Format, query: &[(String, String)]) -> Result<Self, InvalidFields> {
        let pairs = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let options = ImageOptions::from_pairs(pairs).map_err(|invalid| {
            let errors = invalid.0.into_iter().map(|option| FieldError::new(option.name, option.message));
            InvalidFields(errors.collect())
        })?;
        Ok(Self { format, options })
    }

    /// The symbol of the code `id`, or the parameter that leaves no room for it.
    pub(crate) fn symbol(&self, base: &Url, id: &str) -> Result<Symbol, InvalidFields> {
        Symbol::new(&symbol_url(base, id), &title(base, id), &self.options)
            .map_err(|error| InvalidFields::one(error.option(), error.to_string()))
    }

    /// The strong entity tag, quotes included (RFC 9110, 8.8.3), without drawing the image.
    pub(crate) fn entity_tag(&self, base: &Url, id: &str) -> String {
        let fingerprint = fingerprint(self.format, &symbol_url(base, id), &title(base, id), &self.options);
        format!("\"{:032x}\"", u128::from_be_bytes(fingerprint))
    }

    /// The image as a body: SVG goes out as the text that it is, PNG goes to API Gateway as base64.
    pub(crate) fn body(&self, base: &Url, id: &str) -> Result<Body, InvalidFields> {
        let bytes = self.symbol(base, id)?.draw(self.format);
        Ok(match self.format {
            Format::Svg => Body::Text(String::from_utf8_lossy(&bytes).into_owned()),
            Format::Png => Body::Binary(bytes),
        })
    }
}

/// What a screen reader says of the image.
fn title(base: &Url, id: &str) -> String {
    format!("QR code: {}", short_url(base, id))
}
