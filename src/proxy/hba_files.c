/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/hba_files.h"

#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "wire/hba.h"
#include "wire/hba_lines.h"
#include "wire/ident.h"

static int hba_files_read(void *arg, const char *path, struct buf *out)
{
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return -errno;
	}
	int r = 0;
	size_t n = 1;
	while (r == 0 && n > 0) {
		uint8_t *to = buf_reserve(out, 4096);
		if (to == NULL) {
			r = -EFBIG;
			break;
		}
		n = fread(to, 1, 4096, file);
		out->len += n;
		r = ferror(file) ? -EIO : 0;
	}
	fclose(file);
	return r;
}

static int hba_files_list(void *arg, const char *path, struct buf *out)
{
	DIR *dir = opendir(path);
	if (dir == NULL) {
		return -errno;
	}
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		buf_append_cstr(out, e->d_name);
	}
	closedir(dir);
	return buf_ok(out) ? 0 : -EFBIG;
}

/* A row that asks for certificates fits nobody, or nobody's certificate, when they are
 * not asked for. */
static int hba_files_check(const struct config *config, const struct hba *hba,
			   char *error, size_t error_size)
{
	const struct hba_verdict *v;
	for (size_t i = 0; (v = hba_at(hba, i)) != NULL; i++) {
		if (v->clientcert != HBA_CERT_NOT_ASKED &&
		    (config->client_tls_sslmode == SSLMODE_DISABLE ||
		     config->client_tls_ca_file[0] == '\0')) {
			snprintf(error, error_size,
				 "auth_hba_file: %s:%u: certificates of clients need "
				 "client_tls_sslmode and client_tls_ca_file",
				 v->file, v->line);
			return 1;
		}
	}
	return 0;
}

int hba_files_load(const struct config *config, struct hba **hba, struct ident **ident,
		   char *error, size_t error_size)
{
	static const struct hba_source source = { NULL, hba_files_read,
						  hba_files_list };
	struct hba_error what;
	const char *name = "auth_hba_file";
	int r = 0;
	*hba = NULL;
	*ident = NULL;
	if (config->auth_type == AUTH_TYPE_HBA) {
		r = hba_new(&source, config->auth_hba_file, hba, &what);
	}
	if (r == 0 && config->auth_ident_file[0] != '\0') {
		name = "auth_ident_file";
		r = ident_new(&source, config->auth_ident_file, ident, &what);
	}
	if (r != 0) {
		snprintf(error, error_size, "%s: %s", name,
			 r < 0 ? strerror(-r) : what.text);
	} else if (*hba != NULL) {
		r = hba_files_check(config, *hba, error, error_size);
	}
	if (r != 0) {
		hba_free(*hba);
		ident_free(*ident);
		*hba = NULL;
		*ident = NULL;
	}
	return r;
}

/* The N bytes of an interface's address or mask; NULL when it is of another family. */
static const uint8_t *hba_files_bytes(const struct sockaddr *sa, size_t n)
{
	if (sa == NULL) {
		return NULL;
	}
	if (sa->sa_family == AF_INET && n == 4) {
		const struct sockaddr_in *in = (const void *)sa;
		return (const uint8_t *)&in->sin_addr;
	}
	if (sa->sa_family == AF_INET6 && n == 16) {
		const struct sockaddr_in6 *in = (const void *)sa;
		return (const uint8_t *)&in->sin6_addr;
	}
	return NULL;
}

bool hba_files_is_own(const struct hba_address *address, bool net)
{
	struct ifaddrs *list;
	size_t n = address->family == 4 ? 4 : 16;
	bool found = false;
	if (getifaddrs(&list) < 0) {
		return false;
	}
	for (const struct ifaddrs *i = list; i != NULL && !found; i = i->ifa_next) {
		const uint8_t *own = hba_files_bytes(i->ifa_addr, n);
		const uint8_t *mask = hba_files_bytes(i->ifa_netmask, n);
		found = own != NULL && (!net || mask != NULL);
		for (size_t k = 0; k < n && found; k++) {
			uint8_t counts = net ? mask[k] : 0xff;
			found = ((own[k] ^ address->bytes[k]) & counts) == 0;
		}
	}
	freeifaddrs(list);
	return found;
}
