//! One load on a hub or on the floor: its plan, its clients and what they measure.

pub mod floor;
pub mod measure;
pub mod plan;
pub mod progress;
pub mod publisher;
pub mod receiver;
pub mod report;
pub mod stalled;
pub mod stamp;
