/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>

#include "files.h"
#include "wire/hba.h"

#define FILE "/etc/hba.conf"

static struct hba *load(const struct memory_file *files)
{
	struct hba *hba;
	struct hba_error error;
	struct hba_source source = memory_source(files);
	int r = hba_new(&source, FILE, &hba, &error);
	cr_assert_eq(r, 0, "%s", error.text);
	return hba;
}

static struct hba *load_text(const char *text)
{
	const struct memory_file files[] = { { FILE, text }, { NULL, NULL } };
	return load(files);
}

static bool is_own(const struct hba_address *address, bool net)
{
	return address->family == 4 && address->bytes[0] == 10 &&
	       (net || address->bytes[3] == 1);
}

/* The line of the row that fits `user database [address] [tls]`; 0: none. */
static unsigned line_for(const struct hba *hba, const char *who)
{
	char text[128];
	char *rest = text;
	snprintf(text, sizeof(text), "%s", who);
	struct hba_client client = { .is_own = is_own };
	client.user = span_str(strsep(&rest, " "));
	client.database = span_str(strsep(&rest, " "));
	const char *address = strsep(&rest, " ");
	if (address != NULL) {
		cr_assert(hba_parse_address(span_str(address), &client.address));
	}
	client.is_tls = rest != NULL;
	const struct hba_verdict *verdict = hba_find(hba, &client);
	return verdict == NULL ? 0 : verdict->line;
}

/* clang-format off */
static const struct match_case {
	const char *line;
	const char *who;
	bool fits;
} matches[] = {
	{ "local all all trust", "u d", true },
	{ "local all all trust", "u d 127.0.0.1", false },
	{ "host all all all trust", "u d", false },
	{ "host all all all trust", "u d 1.2.3.4", true },
	{ "host all all all trust", "u d ::1 tls", true },
	{ "hostssl all all all trust", "u d 1.2.3.4 tls", true },
	{ "hostssl all all all trust", "u d 1.2.3.4", false },
	{ "hostssl all all all trust", "u d", false },
	{ "hostnossl all all all trust", "u d 1.2.3.4", true },
	{ "hostnossl all all all trust", "u d 1.2.3.4 tls", false },
	{ "hostnogssenc all all all trust", "u d 1.2.3.4 tls", true },
	{ "hostgssenc all all all trust", "u d 1.2.3.4 tls", false },
	{ "local d all trust", "u d", true },
	{ "local d all trust", "u D", false },
	{ "local d all trust", "u dd", false },
	{ "local a,d,e all trust", "u d", true },
	{ "local a, d, e all trust", "u d", true },
	{ "local a,e all trust", "u d", false },
	{ "local \"d d\" all trust", "u d", false },
	{ "local \"a\"\"d\" all trust", "u a\"d", true },
	{ "local \"all\" all trust", "u d", false },
	{ "local \"all\" all trust", "u all", true },
	{ "local sameuser all trust", "u u", true },
	{ "local sameuser all trust", "u d", false },
	{ "local \"sameuser\" all trust", "u u", false },
	{ "local replication all trust", "u replication", false },
	{ "local \"replication\" all trust", "u replication", true },
	{ "local /^d[0-9]+$ all trust", "u d12", true },
	{ "local /^d[0-9]+$ all trust", "u d12x", false },
	{ "local /2 all trust", "u d12x", true },
	{ "local \"/^a,b$\" all trust", "u a,b", true },
	{ "local all u trust", "u d", true },
	{ "local all v,u trust", "u d", true },
	{ "local all v trust", "u d", false },
	{ "local all \"+v\" trust", "+v d", true },
	{ "local all /u$ trust", "abcu d", true },
	{ "host all all 1.2.3.4/32 trust", "u d 1.2.3.4", true },
	{ "host all all 1.2.3.4/32 trust", "u d 1.2.3.5", false },
	{ "host all all 1.2.3.4/31 trust", "u d 1.2.3.5", true },
	{ "host all all 1.2.3.4/0 trust", "u d 255.255.255.255", true },
	{ "host all all 0.0.0.0/0 trust", "u d ::1", false },
	{ "host all all 1.2.3.0 255.255.255.0 trust", "u d 1.2.3.9", true },
	{ "host all all 1.2.3.0 255.255.255.0 trust", "u d 1.2.4.9", false },
	{ "host all all ::1/128 trust", "u d ::1", true },
	{ "host all all ::1/128 trust", "u d ::2", false },
	{ "host all all fe80::/10 trust", "u d febf::1", true },
	{ "host all all fe80::/10 trust", "u d fec0::1", false },
	{ "host all all fe80:: ffc0:: trust", "u d febf::1", true },
	{ "host all all ::/0 trust", "u d 1.2.3.4", false },
	{ "host all all 1.2.3.4/32 trust", "u d ::ffff:1.2.3.4", true },
	{ "host all all samehost trust", "u d 10.0.0.1", true },
	{ "host all all samehost trust", "u d 10.0.0.2", false },
	{ "host all all samenet trust", "u d 10.0.0.2", true },
	{ "host all all samenet trust", "u d 11.0.0.2", false },
	{ "  host\tall  all\t all   trust # comment", "u d 1.2.3.4", true },
	{ "local d\\\n all tr\\\nust", "u d", true },
	{ "local @names all trust", "u first", true },
	{ "local @names all trust", "u second", true },
	{ "local @names all trust", "u third", true },
	{ "local @names all trust", "u all", false },
	{ "local x,@names,y all trust", "u third", true },
	{ "local x,@names,y all trust", "u y", true },
	{ "local \"@names\" all trust", "u first", false },
	{ "include more", "u included", true },
	{ "include_if_exists more", "u included", true },
	{ "include_if_exists nothing", "u included", false },
	{ "include_dir dir", "u a", true },
	{ "include_dir dir", "u b", true },
	{ "include_dir dir", "u c", false },
	{ "", "u d", false },
	{ "# local all all trust", "u d", false },
};
/* clang-format on */

static const struct memory_file others[] = {
	{ "/etc/names", "first second,\n# all\n third, @nested\n" },
	{ "/etc/nested", "fourth" },
	{ "/etc/more", "local included all reject\n" },
	{ "/etc/dir", "b.conf,a.conf,.c.conf,c" },
	{ "/etc/dir/a.conf", "local a all trust" },
	{ "/etc/dir/b.conf", "local b all trust" },
};

Test(wire_hba, fits)
{
	for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
		struct memory_file files[ARRAY_LEN(others) + 2] = {
			{ FILE, matches[i].line }
		};
		memcpy(&files[1], others, sizeof(others));
		struct hba *hba = load(files);
		cr_assert_eq(line_for(hba, matches[i].who) != 0, matches[i].fits,
			     "%s; %s", matches[i].line, matches[i].who);
		hba_free(hba);
	}
}

Test(wire_hba, the_first_that_fits_decides)
{
	struct hba *hba = load_text("host d u 10.0.0.0/8 reject\n"
				    "host d u all md5\n"
				    "\n"
				    "host d all all \\\n"
				    "   scram-sha-256\n"
				    "host all all all trust\n");
	cr_assert_eq(line_for(hba, "u d 10.1.1.1"), 1);
	cr_assert_eq(line_for(hba, "u d 11.1.1.1"), 2);
	cr_assert_eq(line_for(hba, "v d 11.1.1.1"), 4);
	cr_assert_eq(line_for(hba, "v e 11.1.1.1"), 6);
	cr_assert_eq(hba_at(hba, 0)->method, HBA_REJECT);
	cr_assert_eq(hba_at(hba, 1)->method, HBA_MD5);
	cr_assert_eq(hba_at(hba, 2)->method, HBA_SCRAM);
	cr_assert_eq(hba_at(hba, 3)->method, HBA_TRUST);
	cr_assert_null(hba_at(hba, 4));
	hba_free(hba);
}

Test(wire_hba, replication_is_another_database)
{
	struct hba *hba = load_text("local all all trust\nlocal replication all md5\n");
	struct hba_client client = { .user = SPAN_LIT("u"),
				     .database = SPAN_LIT("replication"),
				     .is_own = is_own };
	cr_assert_eq(hba_find(hba, &client)->line, 1);
	client.is_physical = true;
	cr_assert_eq(hba_find(hba, &client)->line, 2);
	hba_free(hba);
}

Test(wire_hba, options)
{
	struct hba *hba = load_text("hostssl all all all cert map=m\n"
				    "hostssl all all all md5 clientcert=verify-ca\n"
				    "hostssl all all all md5 clientcert=verify-full "
				    "clientname=DN\n"
				    "local all all peer map=\"a b\"\n"
				    "local all all ident\n"
				    "local all all password\n");
	const struct hba_verdict *v = hba_at(hba, 0);
	cr_assert(v->method == HBA_CERT && v->clientcert == HBA_CERT_VERIFY_FULL);
	cr_assert_str_eq(v->map, "m");
	cr_assert_eq(hba_at(hba, 1)->clientcert, HBA_CERT_VERIFY_CA);
	cr_assert_eq(hba_at(hba, 2)->clientcert, HBA_CERT_VERIFY_FULL);
	cr_assert(hba_at(hba, 2)->by_dn && !v->by_dn);
	cr_assert_eq(hba_at(hba, 3)->method, HBA_PEER);
	cr_assert_eq(hba_at(hba, 4)->method, HBA_PEER);
	cr_assert_eq(hba_at(hba, 5)->method, HBA_PASSWORD);
	cr_assert_null(hba_at(hba, 5)->map);
	hba_free(hba);
}

/* clang-format off */
static const struct refusal {
	const char *text;
	const char *error;
} refusals[] = {
	{ "\nlocals all all trust", FILE ":2: invalid connection type \"locals\"" },
	{ "local,host all all trust", ":1: there is more than one connection type" },
	{ "local", "ends before its database" },
	{ "local all", "ends before its user" },
	{ "local all all", "ends before its method" },
	{ "host all all", "ends before its address" },
	{ "host all all 1.2.3.4", "ends before its address mask" },
	{ "host all all trust", "\"trust\" is no IP address; host names are not supported" },
	{ "host all all example.org trust", "host names are not supported" },
	{ "host all all .example.org trust", "host names are not supported" },
	{ "host all all 1.2.3/24 trust", "no IP address" },
	{ "host all all 1.2.3.4/33 trust", "invalid length of network" },
	{ "host all all ::1/129 trust", "invalid length of network" },
	{ "host all all 1.2.3.4/ trust", "invalid length of network" },
	{ "host all all 1.2.3.4/-1 trust", "invalid length of network" },
	{ "host all all 1.2.3.4/99999999999999999999 trust", "invalid length of network" },
	{ "host all all 1.2.3.4 ::1 trust", "invalid address mask" },
	{ "host all all 1.2.3.4 trust", "invalid address mask \"trust\"" },
	{ "local samerole all trust", "samerole is not supported" },
	{ "local samegroup all trust", "samegroup is not supported" },
	{ "local all +admins trust", "groups (+admins) are not supported" },
	{ "local all all ldap", "authentication method \"ldap\" is not supported" },
	{ "local all all trust,reject", "more than one method" },
	{ "host all all all ident", "\"ident\" is not supported" },
	{ "host all all all peer", "only supported on local sockets" },
	{ "host all all all cert", "only supported on hostssl" },
	{ "local all all md5 map=x", "only valid for peer and cert" },
	{ "host all all all md5 clientcert=verify-ca", "can only be configured for \"hostssl\"" },
	{ "hostssl all all all md5 clientcert=1", "invalid value for clientcert: \"1\"" },
	{ "hostssl all all all cert clientcert=verify-ca", "only accepts \"verify-full\"" },
	{ "hostssl all all all cert clientname=X", "invalid value for clientname" },
	{ "host all all all md5 clientname=CN", "can only be configured" },
	{ "local all all md5 x=y", "unrecognized authentication option name: \"x\"" },
	{ "local all all md5 x", "not of the form name=value" },
	{ "local \"all all trust", ":1: a quote (\") is not closed" },
	{ "local @nothing all trust", "cannot read /etc/nothing: No such file" },
	{ "local @self all trust", "nested too deeply" },
	{ "include", "include wants one name" },
	{ "include a b", "include wants one name" },
	{ "include nothing", ":1: cannot read /etc/nothing" },
	{ "include " FILE, "nested too deeply" },
	{ "include_dir nothing", "cannot read /etc/nothing" },
	{ "include bad", "/etc/bad:1: invalid connection type" },
	{ "local /[ all trust", "regular expression \"[\"" },
	{ "local /\\d all trust", "escape that POSIX does not have" },
	{ "local /[\\d] all trust", "escape that POSIX does not have" },
	{ "local /(a)\\1 all trust", "escape that POSIX does not have" },
	{ "local /a*? all trust", "construct that POSIX does not have" },
	{ "local /(?:a) all trust", "construct that POSIX does not have" },
	{ "local /a++ all trust", "quantifier behind a quantifier" },
	{ "local /a?* all trust", "quantifier behind a quantifier" },
	{ "local /(((((((((a)+)+)+)+)+)+)+)+)+ all trust", "too many groups" },
	{ "local /***=a all trust", "director" },
	{ "local /a{9999} all trust", "{}" },
};
/* clang-format on */

static const struct memory_file bad_others[] = {
	{ "/etc/self", "@self" },
	{ "/etc/bad", "x\n" },
};

Test(wire_hba, refusals_say_where_and_what)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct memory_file files[ARRAY_LEN(bad_others) + 2] = {
			{ FILE, refusals[i].text }
		};
		memcpy(&files[1], bad_others, sizeof(bad_others));
		struct hba *hba;
		struct hba_error error;
		struct hba_source source = memory_source(files);
		cr_assert_eq(hba_new(&source, FILE, &hba, &error), HBA_E_INVALID, "%s",
			     refusals[i].text);
		cr_assert_null(hba);
		cr_assert_not_null(strstr(error.text, refusals[i].error),
				   "%s: %s is not %s", refusals[i].text, error.text,
				   refusals[i].error);
	}
}

Test(wire_hba, limits)
{
	static char text[HBA_MAX_FILE + 2];
	memset(text, 'x', sizeof(text) - 1);
	const struct memory_file files[] = { { FILE, text }, { NULL, NULL } };
	struct hba_source source = memory_source(files);
	struct hba *hba;
	struct hba_error error;
	cr_assert_eq(hba_new(&source, FILE, &hba, &error), HBA_E_INVALID);
	cr_assert_not_null(strstr(error.text, "File too large"), "%s", error.text);
	text[HBA_MAX_FILE - 1] = 0;
	cr_assert_eq(hba_new(&source, FILE, &hba, &error), HBA_E_INVALID);
	cr_assert_not_null(strstr(error.text, "a word is too long"), "%s", error.text);
	memset(text, ',', 20);
	for (size_t i = 0; i + 2 < HBA_MAX_FILE; i += 2) {
		memcpy(text + i, "x,", 2);
	}
	cr_assert_eq(hba_new(&source, FILE, &hba, &error), HBA_E_INVALID);
	cr_assert_not_null(strstr(error.text, "too large"), "%s", error.text);
}
