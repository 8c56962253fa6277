//! HBA, maps and what the start-up packet may hold.
