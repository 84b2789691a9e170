//! Reviewed answers: see the files beside this one.
