//! LDAP, PAM and auth_query.
