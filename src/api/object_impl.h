/*
 * object_impl.h - the other things that are stored: items, conversations, chat completions, files.
 *
 * Threads: http's workers, which may wait for the disk, but for the verbs that only add to a transaction.
 */
#ifndef THINKD_API_OBJECT_IMPL_H
#define THINKD_API_OBJECT_IMPL_H

#include "api/write_impl.h"

/* --- objects.c: stored objects of a call's owner --------------------------------------------------------------- */

/* JSON that this server wrote itself: no bound on its depth, and an error that does not blame the request. */
enum err_code stored_json(json_t **out, struct str text, struct str id, struct err *err);
/* what: "Conversation", for "Conversation with id 'x' not found." */
enum err_code not_found(struct err *err, const char *what, struct str id);
/* The body's object decoded by the table; no body is an empty object. *doc is the caller's. */
enum err_code body_decode(const struct call *c, const struct field *rows, size_t n, json_t **doc,
                          void *target, struct arena *arena, struct err *err);
enum err_code object_find(struct api *a, const struct access_owner *o, const char *kind, const char *what,
                          struct str id, struct store_object *out, struct arena *arena, struct err *err);
enum err_code object_page(const struct call *c, const char *kind, struct str parent, const struct page *page,
                          struct store_object **out, size_t *n, bool *more, struct arena *arena,
                          struct err *err);
/* The same of those that fit, looked at one after the other; keep(ctx) may not hold on to the object. Each is handed to
 * list_put as show makes it. */
struct object_filter {
    bool (*keep)(const json_t *body, void *ctx); /* NULL: all */
    void (*show)(const json_t *body, struct buf *json);
    void *ctx;
};
enum err_code object_list_reply(const struct call *c, const char *kind, const struct page *page,
                                const struct object_filter *filter, struct err *err);

/* --- items.c ---------------------------------------------------------------------------------------------- */

#define ITEM_ID_CHARS_MAX 256
#define CALL_ID_CHARS     64
#define TOOL_NAME_CHARS   128

/* No type: a message, or a reference where there is an id and nothing that a message needs. */
struct str item_type_of(const json_t *item);
char *new_id(struct arena *arena, const char *prefix); /* id_make's, in the arena */
/* An item of the input as it is kept and shown: its type and id are there, a message's content is an array of parts. The
 * new object (the caller's) shares values with item, which must not be changed afterwards. An item_reference stays
 * one: who keeps items resolves it with item_find. */
enum err_code item_normalise(json_t **out, const json_t *item, const char *path, struct arena *arena,
                             struct err *err);
/* Adds the value that object has under name; null and absent values are not kept, or otherwise (taken over) is. */
void keep_member(json_t *out, const json_t *object, const char *name);
void keep_member_or(json_t *out, const json_t *object, const char *name, json_t *otherwise);
void item_new_id(json_t *item, struct arena *arena); /* of a normalised item, by its type */
/* A string, or an array of items, into a new array. */
enum err_code items_normalise(json_t **out, const json_t *input, const char *path, struct arena *arena,
                              struct err *err);

/* item_parts.c: an array of content parts into a new array, under the names of the Responses API. */
enum err_code parts_normalise(json_t **out, const json_t *content, bool assistant, const char *path,
                              struct arena *arena, struct err *err);

/* --- conversations.c -------------------------------------------------------------------------------------------- */

#define CONVERSATION_ITEMS_MAX 10000
#define CONVERSATION_ADD_MAX   20 /* items of one request */

/* Appends a conversation's items, oldest first; ERR_NOT_FOUND. until_ms: those that were there by then; 0: all. */
enum err_code conversation_items(struct api *a, const struct access_owner *o, struct str id, int64_t until_ms,
                                 json_t *out, struct arena *arena, struct err *err);
/* ERR_ARRAY_TOO_LONG with param, when so many items more are too many. */
enum err_code conversation_room(struct api *a, const struct access_owner *o, struct str id, size_t more,
                                const char *param, struct err *err);
/* Items in a conversation have ids of their own, one owner's all different: an id that is taken, by an item of a
 * conversation or by a response's, is replaced. Call it when a response's input is accepted, before its ids are shown. */
enum err_code conversation_fresh_ids(struct api *a, const struct access_owner *o, json_t *items,
                                     struct arena *arena, struct err *err);
/* Adds items (each with its id) to the end of the conversation, as part of tx. */
void conversation_add_tx(struct store_tx *tx, const struct access_owner *o, struct str id,
                         const json_t *items);

/* --- stored_chat.c ------------------------------------------------------------------------------------------------ */

/* Puts a chat completion of store:true into tx. completion: the object as it was replied; messages: the request's;
 * metadata may be NULL; it goes after keep_ms (0: never). ERR_SERVER: completion is no object with an id. */
enum err_code stored_chat_tx(struct store_tx *tx, const struct access_owner *o, struct str completion,
                             const json_t *messages, const json_t *metadata, int64_t keep_ms,
                             struct err *err);

/* --- files.c ---------------------------------------------------------------------------------------------------- */

/* A file's name and bytes, in the arena. ERR_NOT_FOUND. */
enum err_code file_find(struct api *a, const struct access_owner *o, struct str id, struct str *name,
                        struct str *bytes, struct arena *arena, struct err *err);

#endif
