//! Reference processing center and reference e-government gateway.
