# cmake -DFROM=index.html -DTO=index_html.c -DNAME=rm_admin__index_html -P embed.cmake
# A file's bytes as a C array NAME, NUL-terminated, and their number NAME_bytes.
file(READ "${FROM}" hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," list "${hex}")
string(REPLACE "'\\x0a'," "'\\n',\n" list "${list}")
file(WRITE "${TO}"
  "#include <stddef.h>\n"
  "extern const char ${NAME}[];\nextern const size_t ${NAME}_bytes;\n"
  "const char ${NAME}[] = {\n${list}0};\nconst size_t ${NAME}_bytes = ${bytes};\n")
