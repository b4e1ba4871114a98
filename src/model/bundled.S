/*
 * bundled.S - the bundled model's file as read-only data of the program, aligned like a mapped one.
 *
 * BUNDLED_MODEL is the file's path, from the Makefile. The last section tells the linker that nothing here
 * needs an executable stack.
 */
    .section .rodata
    .balign 4096
    .globl thinkd_bundled_model
    .type thinkd_bundled_model, %object
thinkd_bundled_model:
    .incbin BUNDLED_MODEL
    .globl thinkd_bundled_model_end
    .type thinkd_bundled_model_end, %object
thinkd_bundled_model_end:
    .byte 0
    .size thinkd_bundled_model, thinkd_bundled_model_end - thinkd_bundled_model

    .section .note.GNU-stack, "", %progbits
