# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Certificate files, made by openssl.

    ca = Authority(directory, "ours")
    server = ca.issue("server", "localhost")      # server.crt, server.key: paths as str
"""

import os
import pwd
import subprocess
from pathlib import Path


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Certificate:
    def __init__(self, stem):
        self.crt = f"{stem}.crt"
        self.key = f"{stem}.key"


class Authority:
    def __init__(self, directory, name="ca"):
        self.directory = Path(directory)
        self.name = name
        self.own = Certificate(self.directory / name)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", self.own.key, "-out", self.own.crt)

    @property
    def crt(self):
        return self.own.crt

    def issue(self, stem, common_name):
        """A certificate for localhost and 127.0.0.1, and for a client of that name."""
        made = Certificate(self.directory / stem)
        request, extensions = self.directory / f"{stem}.csr", self.directory / f"{stem}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/O=Tests/CN={common_name}", "-keyout", made.key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.own.crt, "-CAkey", self.own.key, "-days", "2",
                "-CAcreateserial", "-extfile", extensions, "-out", made.crt)
        os.chmod(made.crt, 0o644)
        return made


def give_to_postgres(certificate):
    """PostgreSQL wants its key for itself alone."""
    os.chmod(certificate.key, 0o600)
    if os.geteuid() == 0:
        os.chown(certificate.key, pwd.getpwnam("postgres").pw_uid, -1)
