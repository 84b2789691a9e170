//! What is sent: sequences with symbols, gathered under settings, thought through with the model before anything leaves.

mod build;
mod cast;
mod coverage;
mod endings;
mod entries;
mod epoch;
mod gather;
mod goal;
mod harmless;
mod lives;
mod look;
mod matrix;
mod parallel;
mod partition;
mod portion;
mod probe;
mod proofs;
mod providers;
mod published;
mod races;
mod script;
mod sequence;
mod stand_in;
mod symbol;
mod toggles;
mod twist;
mod unreached;
mod values;
mod walk;

pub use build::{Built, Profile, build};
pub use goal::{Coverage, DIMENSIONS, OperationCoverage, Reached, Unreached};
pub use harmless::{build_harmless, harmless};
pub use partition::Partition;
pub use portion::{Portion, Reach, flows, raced};
pub use script::{flaw, foresee, signed_in, start};
pub use sequence::{
    Action, Call, CallError, Epoch, Facts, Obtain, PLAN_SCHEMA, PLAN_VERSION, Persona, Plan, Purpose, SIGN_IN_ENDS_WITH, Sequence,
    Settings, SignIn, Step, Through,
};
pub use symbol::{Binding, Unbound, captured, symbols, undigested};
pub use twist::{OVERLONG_ID, UNUSED_ID};
