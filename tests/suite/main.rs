//! The tests of the program from outside, in one binary: it is linked once, and long tests run side by side.

mod channels;
mod cli;
mod compare;
mod dependent;
mod documents;
mod har;
mod harm;
mod hostile;
mod html;
mod insta_review;
mod partition;
mod providers;
mod purity;
mod races;
mod reduction;
mod reference;
mod replay;
