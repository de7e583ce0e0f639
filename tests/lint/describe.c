/* Prints the table of options as README.md shall have it. Built by tests/lint/run.py against a build's libraries. */
#include <stdio.h>

#include "remora/config.h"

int main(void)
{
    rm_buf out;

    rm_buf_init(&out, RM_MIB);
    rm_status status = rm_config_describe(true, &out);
    if (status == RM_OK && fwrite(out.ptr, 1, out.len, stdout) != out.len)
        status = RM_EIO;
    rm_buf_deinit(&out);
    return status == RM_OK ? 0 : 1;
}
