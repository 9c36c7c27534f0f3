//! `GET /qr/{shortId}/image.svg` and `image.png`: draws a code's symbol.

use shared::fields::{FieldError, InvalidFields};
use shared::http::{self, Body, HandlerResult, HeaderValue, PublicError, StatusCode, header, query_pairs};
use shared::qr::id::ShortId;
use shared::qr::read;
use shared::qr::short_url::{short_url, symbol_url};
use tessera_symbol::{Format, ImageOptions, Symbol, fingerprint};
use url::Url;

use crate::api_request::ApiRequest;

pub(crate) async fn image(api: ApiRequest, id: ShortId, format: Format) -> HandlerResult {
    let base = &api.state.base;
    let image = RequestedImage::parse(format, &query_pairs(&api.http))?;
    // Options that leave no room for the symbol are refused before the database is asked: the spelling of the id
    // changes nothing.
    image.symbol(base, id.as_str())?;
    let short_id = read::image_id(&api.state.database, &id, api.context.deadline).await?;
    let tag = HeaderValue::from_str(&image.entity_tag(base, &short_id)).map_err(|_| PublicError::Internal)?;
    let mut response = if http::if_none_match_matches(api.http.headers(), &tag) {
        http::not_modified()
    } else {
        http::respond(StatusCode::OK, format.media_type(), image.body(base, &short_id)?)
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::ETAG, tag);
    Ok(response)
}

/// How an image was asked for. Which code it is of comes with each call.
struct RequestedImage {
    format: Format,
    options: ImageOptions,
}

impl RequestedImage {
    /// Reads the query, and names every parameter that is wrong.
    fn parse(format: Format, query: &[(String, String)]) -> Result<Self, InvalidFields> {
        let pairs = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let options = ImageOptions::from_pairs(pairs).map_err(|invalid| {
            let errors = invalid.0.into_iter().map(|option| FieldError::new(option.name, option.message));
            InvalidFields(errors.collect())
        })?;
        Ok(Self { format, options })
    }

    /// The symbol of the code `id`, or the parameter that leaves no room for it.
    fn symbol(&self, base: &Url, id: &str) -> Result<Symbol, InvalidFields> {
        Symbol::new(&symbol_url(base, id), &title(base, id), &self.options)
            .map_err(|error| InvalidFields::one(error.option(), error.to_string()))
    }

    /// The strong entity tag, quotes included (RFC 9110, 8.8.3), without drawing the image.
    fn entity_tag(&self, base: &Url, id: &str) -> String {
        let fingerprint = fingerprint(self.format, &symbol_url(base, id), &title(base, id), &self.options);
        format!("\"{:032x}\"", u128::from_be_bytes(fingerprint))
    }

    /// The image as a body: SVG goes out as the text that it is, PNG goes to API Gateway as base64.
    fn body(&self, base: &Url, id: &str) -> Result<Body, InvalidFields> {
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
