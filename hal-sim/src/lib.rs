//! The other side of every wire: device models, faults and the bench.
