//! The report of a run as one HTML file, each chart as a file, and charts as pictures.

mod answer;
mod arrivals;
mod compare_page;
mod definitions;
mod depth;
mod document;
mod economy;
mod export;
mod gather;
mod head;
mod index_page;
mod inspect_page;
mod names;
mod page;
mod search;
mod standalone;
mod tables;
mod time_split;
mod waterfall;

pub use compare_page::compare_html;
pub use document::{charts, html};
pub use export::{BROWSERS, Browser, Picture};
pub use index_page::index_html;
pub use inspect_page::inspect_html;
pub use standalone::chart_html;
