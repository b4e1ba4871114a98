/*
 * mailbox.h - how threads talk: a bounded queue of fixed-size messages in front of an owner.
 *
 * A message is copied in and copied out; what it points to changes hands with it. Three ways
 * to put one in, chosen by what the sender may do when the owner is behind:
 *   post  refuses when the box is full: a request is answered ERR_BUSY.
 *   wait  blocks until there is room: a producer that may be slowed (the engine's tokens).
 *   push  always succeeds, growing past the bound: for the messages whose number is bounded by
 *         something already admitted (a cancel for a live job, an answer to a question).
 * To be free of deadlock an owner never waits on a box whose owner may wait on its own.
 *
 * Threads: any may put; one takes. Locks: the box's own mutex, held for a copy only.
 */
#ifndef THINKD_BASE_MAILBOX_H
#define THINKD_BASE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

struct mailbox;

struct mailbox *mailbox_open(size_t messages_max, size_t message_bytes);
void mailbox_close(struct mailbox *m); /* after every sender has stopped; NULL is fine */

bool mailbox_post(struct mailbox *m, const void *message); /* false: full or shut */
bool mailbox_wait(struct mailbox *m, const void *message); /* false: shut */
bool mailbox_push(struct mailbox *m, const void *message); /* false: shut */

/* As mailbox_wait, but a taker that sleeps may sleep on, until mailbox_wake or a message of another kind: for a sender
 * that soon has more to say and tells when it has not. A full box does not wait for that. */
bool mailbox_wait_quietly(struct mailbox *m, const void *message);
void mailbox_wake(struct mailbox *m);

/* Takes the oldest message. timeout_ms: 0 does not wait, negative waits for ever. False when the time
 * is over, or when the box is shut and empty. */
bool mailbox_take(struct mailbox *m, void *message, int timeout_ms);

/* No more messages go in; what is inside can still be taken; a waiting taker or sender wakes. */
void mailbox_shut(struct mailbox *m);
bool mailbox_is_shut(struct mailbox *m);

/* An eventfd for an owner that lives in epoll: readable when messages were put, until a take finds none. So the owner takes
 * with timeout 0 until false. Created at the first call. */
int mailbox_fd(struct mailbox *m);

#endif
