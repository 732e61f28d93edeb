//! Keys that are absent, null or set: three different things on vLLM's wire.

use serde::{Deserialize, Deserializer, Serializer};

/// A value of the wire where absent and `null` differ: `None` is no key at
/// all, `Some(None)` is `null`.
pub type Nullable<T> = Option<Option<T>>;

/// For `deserialize_with`: a key that is there is `Some`, also when it is null.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Nullable<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// For `serialize_with`: whole numbers without a fraction, as people write
/// them (`"temperature":0`).
pub(crate) fn short_number<S: Serializer>(
    value: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    // Up to 2^53 every whole f64 is an exact i64.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match *value {
        None => serializer.serialize_none(),
        Some(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
            serializer.serialize_i64(number as i64)
        }
        Some(number) => serializer.serialize_f64(number),
    }
}
