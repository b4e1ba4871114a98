/*
 * schema.S - the migrations as read-only data of the program, each ended by a NUL.
 *
 * Their order here is their number: migrate.c counts them. A new one is a file in schema/ and a line below.
 */
    .macro migration file
    .incbin "\file"
    .byte 0
    .endm

    .section .rodata
    .globl thinkd_store_schema
    .type thinkd_store_schema, %object
thinkd_store_schema:
    migration "src/store/schema/001.sql"
    migration "src/store/schema/002.sql"
    .size thinkd_store_schema, . - thinkd_store_schema
    .globl thinkd_store_schema_end
    .type thinkd_store_schema_end, %object
thinkd_store_schema_end:
    .byte 0
    .size thinkd_store_schema_end, 1

    .section .note.GNU-stack, "", %progbits
