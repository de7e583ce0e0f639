/* A record as it might lie in a damaged file. The first byte chooses: as it is, or with its checksum mended, so that the
 * checks behind it are reached too. What is accepted has to lie inside the value or the scratch, and writing it again
 * gives a record that reads the same. */
#include <stdlib.h>

#include "record.h"

static void touch(rm_slice slice)
{
    volatile char sink = 0;
    for (size_t i = 0; i < slice.len; i++)
        sink = (char)(sink ^ slice.ptr[i]);
}

static void check_again(const rm_record *record)
{
    size_t bytes;
    if (rm_store__record_bytes(record, &bytes))
        return; /* longer labels than this version writes */
    char *image = malloc(bytes);
    if (!image)
        return;
    rm_store__packer packer = {0};
    rm_record again;
    rm_store__record_write(record, image);
    rm_store__record_seal(image, bytes, 1);
    RM_CHECK(rm_store__record_read(rm_slice_make(image, bytes), record->key, &packer, &again) == RM_OK);
    RM_CHECK(rm_slice_eq(again.canonical, record->canonical) && rm_slice_eq(again.content, record->content));
    RM_CHECK(rm_slice_eq(again.model, record->model) && rm_slice_eq(again.name_space, record->name_space));
    rm_store__packer_deinit(&packer);
    free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_store__packer packer = {0};
    rm_store__head head = {0};
    rm_record record;
    if (size < 1)
        return 0;
    size_t len = size - 1;
    char *image = malloc(len + 1); /* exact, so that a read past its end is seen */
    if (!image)
        return 0;
    memcpy(image, data + 1, len);
    if (len >= sizeof(head)) {
        memcpy(&head, image, sizeof(head));
        if (data[0] & 1)
            rm_store__record_seal(image, len, head.birth);
    }
    if (rm_store__record_read(rm_slice_make(image, len), head.key, &packer, &record) == RM_OK) {
        touch(record.name_space);
        touch(record.model);
        touch(record.id);
        touch(record.content_type);
        touch(record.canonical);
        touch(record.content);
        check_again(&record);
    }
    rm_store__packer_deinit(&packer);
    free(image);
    return 0;
}
