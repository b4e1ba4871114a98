/*
 * seal.c - content that a client carries for us and cannot read or change: reasoning.encrypted_content, compaction items.
 *
 * A token is base64url, without padding, of
 *
 *     version (1) | name of the secret (4) | salt (32) | ciphertext | tag (16)
 *
 * Each message has a key and a nonce of its own, HKDF-SHA256 (RFC 5869) of the secret and the random salt, for AES-256-GCM.
 * A salt of 256 bits never comes twice, so the one thing that breaks GCM, a nonce used again under its key, is out of reach
 * however many messages there are and however many nodes share a secret. (A random nonce under one key would be good for
 * 2^32 messages only.) Version, name, salt, kind and owner are authenticated with the text: a token opens for the owner it
 * was made for and as the kind it was made as, or not at all.
 *
 * The first secret seals, all of them open, so one is replaced by putting its successor in front and removing it when what
 * it sealed is no longer wanted. The name in the token, derived from the secret, says which; it tells nothing about it.
 *
 * Threads:   any; a struct seal is constant once open.
 * Ownership: secrets are copied and wiped at the end. They are never logged.
 */
#include "api/api_impl.h"

#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION          1
#define NAME_BYTES       4
#define SALT_BYTES       32
#define TAG_BYTES        16
#define HEAD_BYTES       (1 + NAME_BYTES + SALT_BYTES)
#define KEY_BYTES        32
#define NONCE_BYTES      12
#define SECRETS_MAX      8
#define SECRET_BYTES_MIN 32
#define SECRET_BYTES_MAX 1024
#define SECRET_FILE      "secret"
#define MADE_HEX_DIGITS  64 /* of the secret that a server makes for itself: 256 bits */
#define LABEL_BYTES_MAX  128

static_assert(HEAD_BYTES + SEAL_PLAIN_MAX + TAG_BYTES <= SEAL_TOKEN_MAX / 4 * 3,
              "a sealed text fits a field");

struct secret {
    char text[SECRET_BYTES_MAX];
    size_t len;
    unsigned char name[NAME_BYTES];
};
struct seal {
    size_t n;
    struct secret secrets[SECRETS_MAX];
};

/* --- keys ------------------------------------------------------------------------------------------------- */

static void derive(const struct secret *secret, struct str salt, const char *use, unsigned char *out,
                   size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (char *)secret->text, secret->len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (char *)salt.ptr, salt.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (char *)use, strlen(use)),
        OSSL_PARAM_construct_end(),
    };
    int ok = ctx ? EVP_KDF_derive(ctx, out, len, params) : 0;
    assert(ok == 1); /* in every provider; without it nothing may be sealed */
    (void)ok;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

static enum err_code add_secret(struct seal *s, struct str text, const char *where, struct err *err)
{
    size_t number = s->n + 1; /* secrets are never shown, so messages count them */
    if (text.len < SECRET_BYTES_MIN || text.len > SECRET_BYTES_MAX)
        return err_set(err, ERR_CONFIG, "secret",
                       "%s: secret number %zu has %zu characters, and needs %d to %d. Make one with 'openssl "
                       "rand -hex 32'.",
                       where, number, text.len, SECRET_BYTES_MIN, SECRET_BYTES_MAX);
    if (s->n == SECRETS_MAX)
        return err_set(err, ERR_CONFIG, "secret", "%s: there are more than %d secrets.", where, SECRETS_MAX);
    struct secret *secret = &s->secrets[s->n];
    memcpy(secret->text, text.ptr, text.len);
    secret->len = text.len;
    derive(secret, STR(""), "thinkd seal 1 name", secret->name, NAME_BYTES);
    for (size_t i = 0; i < s->n; i++)
        if (memcmp(s->secrets[i].name, secret->name, NAME_BYTES) == 0)
            return err_set(err, ERR_CONFIG, "secret", "%s: secret number %zu is the same as number %zu.",
                           where, number, i + 1);
    s->n++;
    return ERR_OK;
}

/* --- a secret of our own ------------------------------------------------------------------------------------ */

static enum err_code file_error(struct err *err, const char *what, const char *path)
{
    return err_set(err, ERR_FILE, NULL, "cannot %s '%.200s': %s.", what, path, strerror(errno));
}

/* Whole or not at all, and never readable by others, not even for a moment. */
static enum err_code save_secret(const char *path, struct str text, struct err *err)
{
    char beside[4096];
    if (snprintf(beside, sizeof beside, "%s.part", path) >= (int)sizeof beside)
        return err_set(err, ERR_FILE, NULL, "the path '%.200s...' is too long.", path);
    unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return file_error(err, "create", beside);
    enum err_code code = ERR_OK;
    if (write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd))
        code = file_error(err, "write", beside);
    if (close(fd) && !code)
        code = file_error(err, "write", beside);
    if (!code && rename(beside, path))
        code = file_error(err, "rename to", path);
    if (code)
        unlink(beside);
    return code;
}

static enum err_code read_secret(struct buf *text, const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & 0077))
        log_line(LOG_WARN, "seal", "the server's secret is open to others path=%s mode=%04o", path,
                 (unsigned)(st.st_mode & 07777));
    return file_read(text, path, SECRET_BYTES_MAX + 2, err); /* and a line's end */
}

static void make_secret(struct buf *text)
{
    char digits[MADE_HEX_DIGITS + 1];
    rng_os_hex(digits, MADE_HEX_DIGITS);
    buf_puts(text, digits);
    OPENSSL_cleanse(digits, sizeof digits);
}

/* The data directory belongs to this process alone, so nobody makes the file between the look and the write. */
static enum err_code own_secret(struct seal *s, const char *dir, struct err *err)
{
    struct buf text = { 0 }, path = { 0 };
    buf_printf(&path, "%s/%s", dir ? dir : "", SECRET_FILE);
    enum err_code code = ERR_OK;
    if (dir && access(path.ptr, F_OK) == 0)
        code = read_secret(&text, path.ptr, err);
    else
        make_secret(&text);
    if (!code && dir && access(path.ptr, F_OK) != 0)
        code = save_secret(path.ptr, buf_str(&text), err);
    if (!code)
        code = add_secret(s, str_trim(buf_str(&text)), dir ? path.ptr : "secret", err);
    if (text.ptr)
        OPENSSL_cleanse(text.ptr, text.cap);
    buf_free(&text);
    buf_free(&path);
    return code;
}

enum err_code seal_open(struct seal **out, const struct config_list *secrets, const char *dir,
                        struct err *err)
{
    struct seal *s = mem_zalloc(sizeof *s);
    enum err_code code = secrets->len ? ERR_OK : own_secret(s, dir, err);
    for (size_t i = 0; i < secrets->len && !code; i++)
        code = add_secret(s, str_from(secrets->items[i]), "secret", err);
    if (code)
        seal_close(s);
    else
        *out = s;
    return code;
}

void seal_close(struct seal *s)
{
    if (!s)
        return;
    OPENSSL_cleanse(s, sizeof *s);
    mem_free(s);
}

/* --- one message --------------------------------------------------------------------------------------------- */

/* Everything that is authenticated and not encrypted. Kinds are names of our own without NUL, so no two
 * pairs of kind and owner come to the same bytes. */
static void put_bound(struct buf *out, struct str head, struct str owner, const char *kind)
{
    buf_put_str(out, head);
    buf_put(out, kind, strlen(kind) + 1);
    buf_put_str(out, owner);
}

struct pass {
    const struct secret *secret;
    bool seal; /* or open */
    struct str head, bound, in;
    unsigned char *out; /* [in.len] */
    unsigned char *tag; /* written, or compared */
};

static bool run_cipher(EVP_CIPHER_CTX *ctx, const struct pass *p, const unsigned char *key)
{
    int n = 0, way = p->seal ? 1 : 0;
    const unsigned char *nonce = key + KEY_BYTES;
    bool ok = EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, way) == 1 &&
              EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *)p->bound.ptr, (int)p->bound.len) == 1 &&
              EVP_CipherUpdate(ctx, p->out, &n, (const unsigned char *)p->in.ptr, (int)p->in.len) == 1;
    if (ok && !p->seal)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, p->tag) == 1;
    ok = ok && EVP_CipherFinal_ex(ctx, p->out + n, &n) == 1;
    if (ok && p->seal)
        ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, p->tag) == 1;
    return ok;
}

/* False: the tag is not that of these bytes. */
static bool pass_run(const struct pass *p)
{
    unsigned char key[KEY_BYTES + NONCE_BYTES];
    derive(p->secret, str_slice(p->head, 1 + NAME_BYTES, HEAD_BYTES), "thinkd seal 1 message", key,
           sizeof key);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx && run_cipher(ctx, p, key);
    EVP_CIPHER_CTX_free(ctx);
    OPENSSL_cleanse(key, sizeof key);
    return ok;
}

bool seal_put(const struct seal *s, struct str owner, const char *kind, struct str plain, struct buf *out)
{
    assert(owner.len <= LABEL_BYTES_MAX && strlen(kind) <= LABEL_BYTES_MAX);
    if (plain.len > SEAL_PLAIN_MAX)
        return false;
    size_t len = HEAD_BYTES + plain.len + TAG_BYTES;
    unsigned char *bytes = mem_zalloc(len);
    bytes[0] = VERSION;
    memcpy(bytes + 1, s->secrets[0].name, NAME_BYTES);
    rng_os_bytes(bytes + 1 + NAME_BYTES, SALT_BYTES);
    struct buf bound = { 0 };
    struct pass p = { .secret = &s->secrets[0],
                      .seal = true,
                      .head = { (char *)bytes, HEAD_BYTES },
                      .in = plain.len ? plain : STR(""),
                      .out = bytes + HEAD_BYTES,
                      .tag = bytes + HEAD_BYTES + plain.len };
    put_bound(&bound, p.head, owner, kind);
    p.bound = buf_str(&bound);
    bool ok = pass_run(&p);
    assert(ok); /* nothing about the text can make it fail */
    base64url_put(out, (struct str){ (char *)bytes, len });
    buf_free(&bound);
    mem_free(bytes);
    return ok;
}

static const struct secret *secret_named(const struct seal *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (memcmp(s->secrets[i].name, name, NAME_BYTES) == 0)
            return &s->secrets[i];
    return NULL;
}

static bool open_bytes(const struct seal *s, struct str owner, const char *kind, struct str bytes,
                       struct buf *plain)
{
    if (bytes.len < HEAD_BYTES + TAG_BYTES || bytes.ptr[0] != VERSION)
        return false;
    const struct secret *secret = secret_named(s, bytes.ptr + 1);
    if (!secret)
        return false;
    struct buf bound = { 0 };
    struct pass p = { .secret = secret,
                      .head = str_slice(bytes, 0, HEAD_BYTES),
                      .in = str_slice(bytes, HEAD_BYTES, bytes.len - TAG_BYTES) };
    put_bound(&bound, p.head, owner, kind);
    p.bound = buf_str(&bound);
    unsigned char tag[TAG_BYTES];
    memcpy(tag, bytes.ptr + bytes.len - TAG_BYTES, TAG_BYTES);
    p.tag = tag;
    size_t before = plain->len;
    buf_reserve(plain, p.in.len + 1);
    p.out = (unsigned char *)plain->ptr + before;
    bool ok = pass_run(&p);
    if (ok)
        plain->len = before + p.in.len;
    plain->ptr[plain->len] = '\0'; /* what did not open is not shown */
    buf_free(&bound);
    return ok;
}

enum err_code seal_get(const struct seal *s, struct str owner, const char *kind, struct str token,
                       const char *param, struct buf *plain, struct err *err)
{
    struct buf bytes = { 0 };
    bool ok = owner.len <= LABEL_BYTES_MAX && token.len <= SEAL_TOKEN_MAX && base64url_get(&bytes, token) &&
              open_bytes(s, owner, kind, buf_str(&bytes), plain);
    buf_free(&bytes);
    if (ok)
        return ERR_OK;
    return err_set(
        err, ERR_ENCRYPTED_CONTENT, param,
        "The encrypted content could not be opened: it was not made by this server for this key, or "
        "was changed on its way. Send it back as it came, or leave the item out.");
}
