/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The messages of protocol 3:
 * MESSAGE(byte, side, IDENT, "name", least length word, greatest length word)
 * One byte may mean different things on the two sides.  'p' answers whatever the server
 * asked for in the login; 64 KiB carry the long tokens that clouds use for passwords. */

/* clang-format off */
#define MESSAGE_LARGE 0x40000003 /* 1 GiB, PostgreSQL's own limit */

MESSAGE('B', FRONTEND, BIND,          "Bind",         12, MESSAGE_LARGE)
MESSAGE('C', FRONTEND, CLOSE,         "Close",         6, MESSAGE_LARGE)
MESSAGE('D', FRONTEND, DESCRIBE,      "Describe",      6, MESSAGE_LARGE)
MESSAGE('E', FRONTEND, EXECUTE,       "Execute",       9, MESSAGE_LARGE)
MESSAGE('F', FRONTEND, FUNCTION_CALL, "FunctionCall", 14, MESSAGE_LARGE)
MESSAGE('H', FRONTEND, FLUSH,         "Flush",         4, 4)
MESSAGE('P', FRONTEND, PARSE,         "Parse",         8, MESSAGE_LARGE)
MESSAGE('Q', FRONTEND, QUERY,         "Query",         5, MESSAGE_LARGE)
MESSAGE('S', FRONTEND, SYNC,          "Sync",          4, 4)
MESSAGE('X', FRONTEND, TERMINATE,     "Terminate",     4, 4)
MESSAGE('c', FRONTEND, COPY_DONE,     "CopyDone",      4, 4)
MESSAGE('d', FRONTEND, COPY_DATA,     "CopyData",      4, MESSAGE_LARGE)
MESSAGE('f', FRONTEND, COPY_FAIL,     "CopyFail",      5, MESSAGE_LARGE)
MESSAGE('p', FRONTEND, PASSWORD,      "PasswordMessage", 4, 0x10008)

MESSAGE('1', BACKEND, PARSE_COMPLETE,         "ParseComplete",          4, 4)
MESSAGE('2', BACKEND, BIND_COMPLETE,          "BindComplete",           4, 4)
MESSAGE('3', BACKEND, CLOSE_COMPLETE,         "CloseComplete",          4, 4)
MESSAGE('A', BACKEND, NOTIFICATION,           "NotificationResponse",  10, MESSAGE_LARGE)
MESSAGE('C', BACKEND, COMMAND_COMPLETE,       "CommandComplete",        5, MESSAGE_LARGE)
MESSAGE('D', BACKEND, DATA_ROW,               "DataRow",                6, MESSAGE_LARGE)
MESSAGE('E', BACKEND, ERROR,                  "ErrorResponse",          5, MESSAGE_LARGE)
MESSAGE('G', BACKEND, COPY_IN,                "CopyInResponse",         7, MESSAGE_LARGE)
MESSAGE('H', BACKEND, COPY_OUT,               "CopyOutResponse",        7, MESSAGE_LARGE)
MESSAGE('I', BACKEND, EMPTY_QUERY,            "EmptyQueryResponse",     4, 4)
MESSAGE('K', BACKEND, KEY_DATA,               "BackendKeyData",        12, 264)
MESSAGE('N', BACKEND, NOTICE,                 "NoticeResponse",         5, MESSAGE_LARGE)
MESSAGE('R', BACKEND, AUTHENTICATION,         "Authentication",         8, 0x10008)
MESSAGE('S', BACKEND, PARAMETER_STATUS,       "ParameterStatus",        6, MESSAGE_LARGE)
MESSAGE('T', BACKEND, ROW_DESCRIPTION,        "RowDescription",         6, MESSAGE_LARGE)
MESSAGE('V', BACKEND, FUNCTION_CALL_RESPONSE, "FunctionCallResponse",   8, MESSAGE_LARGE)
MESSAGE('W', BACKEND, COPY_BOTH,              "CopyBothResponse",       7, MESSAGE_LARGE)
MESSAGE('Z', BACKEND, READY,                  "ReadyForQuery",          5, 5)
MESSAGE('c', BACKEND, COPY_DONE,              "CopyDone",               4, 4)
MESSAGE('d', BACKEND, COPY_DATA,              "CopyData",               4, MESSAGE_LARGE)
MESSAGE('n', BACKEND, NO_DATA,                "NoData",                 4, 4)
MESSAGE('s', BACKEND, PORTAL_SUSPENDED,       "PortalSuspended",        4, 4)
MESSAGE('t', BACKEND, PARAMETER_DESCRIPTION,  "ParameterDescription",   6, MESSAGE_LARGE)
MESSAGE('v', BACKEND, NEGOTIATE_VERSION,      "NegotiateProtocolVersion", 12, 0x10000)

#undef MESSAGE_LARGE
/* clang-format on */
