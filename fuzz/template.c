/*
 * template.c - fuzz target: any chat template over one conversation.
 */
#include "text/text.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char conversation[] =
        "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\" a b \"},"
        "{\"role\":\"assistant\",\"content\":\"<think>x</"
        "think>y\",\"tool_calls\":[{\"name\":\"f\",\"n\":1.5}]}],"
        "\"tools\":[{\"type\":\"function\"}],\"add_generation_prompt\":true,\"x\":null,\"n\":3}";
    static json_t *variables;
    if (!variables)
        variables = json_loads(conversation, 0, NULL);
    struct chat_template *t = NULL;
    struct err err;
    struct buf out = { 0 };
    if (chat_template_open(&t, (struct str){ (const char *)data, size }, &err) == ERR_OK) {
        chat_template_render(t, variables, &out, &err);
        chat_template_close(t);
    }
    buf_free(&out);
    return 0;
}
