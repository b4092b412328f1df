/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The statuses the HTTP endpoint can send: HTTP_STATUS(code, reason phrase). */
HTTP_STATUS(200, "OK")
HTTP_STATUS(400, "Bad Request")
HTTP_STATUS(404, "Not Found")
HTTP_STATUS(405, "Method Not Allowed")
HTTP_STATUS(408, "Request Timeout")
HTTP_STATUS(411, "Length Required")
HTTP_STATUS(413, "Content Too Large")
HTTP_STATUS(414, "URI Too Long")
HTTP_STATUS(417, "Expectation Failed")
HTTP_STATUS(431, "Request Header Fields Too Large")
HTTP_STATUS(500, "Internal Server Error")
HTTP_STATUS(503, "Service Unavailable")
HTTP_STATUS(505, "HTTP Version Not Supported")
