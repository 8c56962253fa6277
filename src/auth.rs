//! Who the client is: secrets, login conversations, identities.
//!
//! Nothing here does I/O. A conversation is a chain of values that takes the peer's
//! bytes and returns the bytes to send; a login ends in an [`identity::Identity`], which
//! only evidence can make. What an identity may do is not decided here.

pub mod certificate;
pub mod hba;
pub mod ident;
pub mod identity;
pub mod jwt;
pub mod ldap;
pub mod md5;
pub mod method;
pub mod names;
pub mod oauthbearer;
pub mod password;
pub mod scram;
pub mod secret;
pub mod token;
pub mod userlist;

pub use certificate::CertificateNames;
pub use hba::Hba;
pub use identity::Identity;
pub use method::Method;
pub use names::{DatabaseName, UserName};
pub use password::PasswordProof;
pub use secret::Secret;
pub use userlist::Userlist;
