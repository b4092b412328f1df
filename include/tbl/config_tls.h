/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The part of tbl/config.h on TLS, towards clients and towards servers. */

/* clang-format off */
CONFIG(ENUM, "pgrecall", "client_tls_sslmode", client_tls_sslmode, "disable", 0, 0, sslmode, CF_RELOAD,
       "TLS with clients: disable, allow (or prefer) if they ask for it, require, verify-ca (or verify-full) with a certificate of theirs.")
CONFIG(STRING, "pgrecall", "client_tls_key_file", client_tls_key_file, "", 0, 4096, NONE, CF_RELOAD,
       "File with the private key shown to clients, PEM without a passphrase.")
CONFIG(STRING, "pgrecall", "client_tls_cert_file", client_tls_cert_file, "", 0, 4096, NONE, CF_RELOAD,
       "File with the certificate shown to clients, PEM; intermediate ones behind it.")
CONFIG(STRING, "pgrecall", "client_tls_ca_file", client_tls_ca_file, "", 0, 4096, NONE, CF_RELOAD,
       "File with the authorities that certificates of clients are checked against, PEM; empty means that none are asked for.")
CONFIG(STRING, "pgrecall", "client_tls_protocols", client_tls_protocols, "secure", 1, 256, NONE, CF_RELOAD,
       "TLS versions for clients: tlsv1.0 to tlsv1.3 separated by commas, secure (1.2 and 1.3) or all.")
CONFIG(STRING, "pgrecall", "client_tls_ciphers", client_tls_ciphers, "default", 0, 4096, NONE, CF_RELOAD,
       "Ciphers of TLS 1.2 and older for clients, in OpenSSL's syntax; default means OpenSSL's own.")
CONFIG(STRING, "pgrecall", "client_tls13_ciphers", client_tls13_ciphers, "", 0, 4096, NONE, CF_RELOAD,
       "Ciphers of TLS 1.3 for clients, separated by colons; empty means OpenSSL's own.")
CONFIG(STRING, "pgrecall", "client_tls_ecdhcurve", client_tls_ecdhcurve, "auto", 0, 256, NONE, CF_RELOAD,
       "Curves of the key exchange with clients, separated by colons; auto means OpenSSL's own, none no curve.")
CONFIG(STRING, "pgrecall", "client_tls_dheparams", client_tls_dheparams, "auto", 0, 4096, NONE, CF_RELOAD,
       "Diffie-Hellman with clients of TLS 1.2: auto, none, legacy (1024 bits), or a file with parameters.")
CONFIG(ENUM, "pgrecall", "server_tls_sslmode", server_tls_sslmode, "prefer", 0, 0, sslmode, CF_RELOAD,
       "TLS with servers, as libpq's sslmode: disable, allow, prefer, require, verify-ca or verify-full.")
CONFIG(STRING, "pgrecall", "server_tls_key_file", server_tls_key_file, "", 0, 4096, NONE, CF_RELOAD,
       "File with the private key shown to servers; empty means libpq's default.")
CONFIG(STRING, "pgrecall", "server_tls_cert_file", server_tls_cert_file, "", 0, 4096, NONE, CF_RELOAD,
       "File with the certificate shown to servers; empty means libpq's default.")
CONFIG(STRING, "pgrecall", "server_tls_ca_file", server_tls_ca_file, "", 0, 4096, NONE, CF_RELOAD,
       "File with the authorities that certificates of servers are checked against; with it, require checks them too.")
CONFIG(STRING, "pgrecall", "server_tls_protocols", server_tls_protocols, "secure", 1, 256, NONE, CF_RELOAD,
       "TLS versions for servers, as client_tls_protocols; without a gap.")
/* clang-format on */
