/*
 * err.h - the one error type of every layer.
 *
 * A function that can fail returns enum err_code (zero is success) and fills a struct
 * err with a sentence a person can act on and, where a request is at fault, the field.
 * The table below is the only place where a code meets its HTTP status, its type and
 * its API code, so the reply, the status line and docs/api.md cannot drift apart.
 *
 * Threads: no state; a struct err belongs to the caller.
 */
#ifndef THINKD_BASE_ERR_H
#define THINKD_BASE_ERR_H

#include "base/mem.h"

#include <stdarg.h>

#define ERR_INVALID_REQUEST "invalid_request_error"

/* clang-format off */
/*    code                       status  type                   API code (NULL: null) */
#define ERR_LIST(X)\
    X(ERR_BAD_REQUEST,            400,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_INVALID_JSON,           400,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_MISSING_PARAMETER,      400,   ERR_INVALID_REQUEST,  "missing_required_parameter")              \
    X(ERR_UNKNOWN_PARAMETER,      400,   ERR_INVALID_REQUEST,  "unknown_parameter")                       \
    X(ERR_UNSUPPORTED_PARAMETER,  400,   ERR_INVALID_REQUEST,  "unsupported_parameter")                   \
    X(ERR_INVALID_TYPE,           400,   ERR_INVALID_REQUEST,  "invalid_type")                            \
    X(ERR_INVALID_VALUE,          400,   ERR_INVALID_REQUEST,  "invalid_value")                           \
    X(ERR_UNSUPPORTED_VALUE,      400,   ERR_INVALID_REQUEST,  "unsupported_value")                       \
    X(ERR_INTEGER_BELOW_MIN,      400,   ERR_INVALID_REQUEST,  "integer_below_min_value")                 \
    X(ERR_INTEGER_ABOVE_MAX,      400,   ERR_INVALID_REQUEST,  "integer_above_max_value")                 \
    X(ERR_DECIMAL_BELOW_MIN,      400,   ERR_INVALID_REQUEST,  "decimal_below_min_value")                 \
    X(ERR_DECIMAL_ABOVE_MAX,      400,   ERR_INVALID_REQUEST,  "decimal_above_max_value")                 \
    X(ERR_STRING_TOO_LONG,        400,   ERR_INVALID_REQUEST,  "string_above_max_length")                 \
    X(ERR_STRING_TOO_SHORT,       400,   ERR_INVALID_REQUEST,  "string_below_min_length")                 \
    X(ERR_ARRAY_TOO_LONG,         400,   ERR_INVALID_REQUEST,  "array_above_max_length")                  \
    X(ERR_ARRAY_TOO_SHORT,        400,   ERR_INVALID_REQUEST,  "array_below_min_length")                  \
    X(ERR_EMPTY_ARRAY,            400,   ERR_INVALID_REQUEST,  "empty_array")                             \
    X(ERR_INVALID_SCHEMA,         400,   ERR_INVALID_REQUEST,  "invalid_json_schema")                     \
    X(ERR_CONTEXT_LENGTH,         400,   ERR_INVALID_REQUEST,  "context_length_exceeded")                 \
    X(ERR_PREVIOUS_NOT_FOUND,     400,   ERR_INVALID_REQUEST,  "previous_response_not_found")             \
    X(ERR_ENCRYPTED_CONTENT,      400,   ERR_INVALID_REQUEST,  "invalid_encrypted_content")               \
    X(ERR_IMAGE,                  400,   ERR_INVALID_REQUEST,  "invalid_image")                           \
    X(ERR_IMAGE_FORMAT,           400,   ERR_INVALID_REQUEST,  "invalid_image_format")                    \
    X(ERR_IMAGE_BASE64,           400,   ERR_INVALID_REQUEST,  "invalid_base64_image")                    \
    X(ERR_IMAGE_URL,              400,   ERR_INVALID_REQUEST,  "invalid_image_url")                       \
    X(ERR_IMAGE_DOWNLOAD,         400,   ERR_INVALID_REQUEST,  "failed_to_download_image")                \
    X(ERR_IMAGE_TOO_LARGE,        400,   ERR_INVALID_REQUEST,  "image_too_large")                         \
    X(ERR_NO_KEY,                 401,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_INVALID_KEY,            401,   ERR_INVALID_REQUEST,  "invalid_api_key")                         \
    X(ERR_MODEL_NOT_FOUND,        404,   ERR_INVALID_REQUEST,  "model_not_found")                         \
    X(ERR_WRONG_ENDPOINT,         404,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_NOT_FOUND,              404,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_AZURE_NOT_FOUND,        404,   ERR_INVALID_REQUEST,  "404")                                     \
    X(ERR_METHOD,                 405,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_TIMEOUT,                408,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_CONFLICT,               409,   ERR_INVALID_REQUEST,  "conflict")                                \
    X(ERR_TOO_LARGE,              413,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_MEDIA_TYPE,             415,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_HEADERS_TOO_LARGE,      431,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_RATE_LIMIT_REQUESTS,    429,   "requests",             "rate_limit_exceeded")                   \
    X(ERR_RATE_LIMIT_TOKENS,      429,   "tokens",               "rate_limit_exceeded")                   \
    X(ERR_CONNECTION_LIMIT,       400,   ERR_INVALID_REQUEST,  "websocket_connection_limit_reached")      \
    X(ERR_CANCELLED,              499,   ERR_INVALID_REQUEST,  NULL)                                      \
    X(ERR_SERVER,                 500,   "server_error",       "server_error")                            \
    X(ERR_BUSY,                   503,   "server_error",       "server_is_overloaded")                    \
    X(ERR_FILE,                   500,   "server_error",       "server_error") /* open, read, write */    \
    X(ERR_FORMAT,                 500,   "server_error",       "server_error") /* a file's content */     \
    X(ERR_STORE,                  500,   "server_error",       "server_error") /* the database */         \
    X(ERR_CONFIG,                 500,   "server_error",       "server_error") /* options, config file */ \
    X(ERR_NETWORK,                500,   "server_error",       "server_error") /* an outgoing request */
/* clang-format on */

enum err_code {
    ERR_OK = 0,
#define X(code, status, type, api) code,
    ERR_LIST(X)
#undef X
        ERR_COUNT
};

struct err {
    enum err_code code;
    char param[96];    /* "reasoning.effort", "input[3].type"; "" when no field is at fault */
    char message[400]; /* a full sentence, valid UTF-8, safe to show to the caller */
};

/* Fills err (NULL is fine) and returns code, so that a failing check is one return statement.
 * param may be NULL. A message that is too long is cut at a character's border. */
enum err_code err_set(struct err *err, enum err_code code, const char *param, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
enum err_code err_vset(struct err *err, enum err_code code, const char *param, const char *fmt, va_list ap);

int err_status(enum err_code code);           /* 200 for ERR_OK */
const char *err_type(enum err_code code);     /* "invalid_request_error" */
const char *err_api_code(enum err_code code); /* "invalid_value", or NULL */
const char *err_name(enum err_code code);     /* "ERR_INVALID_VALUE", for logs */

#endif
