//! A list that mostly holds one item.

use std::iter::Chain;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::{fmt, option, slice, vec};

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A list that needs no allocation for its usual length, one. A slice to read.
#[derive(Clone)]
pub struct Few<T>(Items<T>);

#[derive(Clone)]
enum Items<T> {
    One([T; 1]),
    Many(Vec<T>),
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Items::Many(Vec::new()))
    }
}

impl<T> Few<T> {
    /// Each item as another.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> Few<U> {
        Few(match self.0 {
            Items::One([item]) => Items::One([change(item)]),
            Items::Many(items) => Items::Many(items.into_iter().map(change).collect()),
        })
    }
}

impl<T> From<T> for Few<T> {
    fn from(item: T) -> Self {
        Self(Items::One([item]))
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        match (items.next(), items.next()) {
            (None, _) => Self::default(),
            (Some(item), None) => Self::from(item),
            (Some(first), Some(second)) => {
                let mut all = vec![first, second];
                all.extend(items);
                Self(Items::Many(all))
            }
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Items::One(item) => item,
            Items::Many(items) => items,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Items::One(item) => item,
            Items::Many(items) => items,
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = Chain<option::IntoIter<T>, vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self.0 {
            Items::One([item]) => (Some(item), Vec::new()),
            Items::Many(items) => (None, items),
        };
        one.into_iter().chain(many)
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Few<T>, A::Error> {
                let Some(first) = items.next_element()? else { return Ok(Few::default()) };
                let Some(second) = items.next_element()? else { return Ok(Few::from(first)) };
                let mut all = vec![first, second];
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(Few(self::Items::Many(all)))
            }
        }

        deserializer.deserialize_seq(Items(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_is_a_list() {
        for length in 0..4 {
            let list: Vec<u32> = (0..length).collect();
            let few: Few<u32> = list.iter().copied().collect();
            assert_eq!(&*few, list.as_slice());
            assert_eq!(matches!(few.0, Items::One(_)), length == 1);
            assert_eq!(format!("{few:?}"), format!("{list:?}"));
            let json = serde_json::to_string(&list).expect("a list");
            let read: Few<u32> = serde_json::from_str(&json).expect(&json);
            assert_eq!(read, few);
            assert_eq!(matches!(read.0, Items::One(_)), length == 1);
            let more: Vec<u32> = few.map(|n| n + 1).into_iter().collect();
            assert_eq!(more, (1..=length).collect::<Vec<_>>());
            assert_ne!(read, [7, 8].into_iter().collect());
        }
        let one_of_many = Few(Items::Many(vec![1]));
        assert_eq!(one_of_many, Few::from(1), "equal however it is kept");
    }
}
