/* An issuing program: reads one step per line, calls the function of that name, prints code, status word and data.
 * The other side of the line is the key centre, which answers each challenge with a cryptogram. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ykt_issuing.h"

#define WORDS_MAX 6
#define BYTES_MAX 256

static uint8_t data[BYTES_MAX];

static size_t unhex(const char *text) {
    size_t len = 0;
    for (; text[0] && text[1] && len < BYTES_MAX; text += 2) {
        unsigned byte;
        if (sscanf(text, "%2x", &byte) != 1) exit(2);
        data[len++] = (uint8_t)byte;
    }
    return len;
}

static unsigned number(const char *text) { return (unsigned)strtoul(text, NULL, 16); }

int main(int argc, char **argv) {
    char line[1024];
    int32_t comm = 0;
    if (argc != 2) return 2;
    int32_t code = opencomm(argv[1], &comm);
    printf("%d\n", code);
    fflush(stdout);
    while (code == YKT_CODE_OK && fgets(line, sizeof line, stdin)) {
        const char *word[WORDS_MAX] = {"", "", "", "", "", ""};
        int count = 0;
        for (char *next = strtok(line, " \n"); next && count < WORDS_MAX; next = strtok(NULL, " \n"))
            word[count++] = next;
        uint8_t answer[256];
        size_t answer_len = sizeof answer;
        uint16_t sw = 0;
        int32_t done = YKT_CODE_ARGUMENT;
        const char *name = word[0];
        unsigned a = number(word[1]), b = number(word[2]), c = number(word[3]);
        size_t len = unhex(word[4]);
        if (!strcmp(name, "WriteHardInfo")) done = WriteHardInfo(comm, data, len, &sw), answer_len = 0;
        else if (!strcmp(name, "GetHardInfo")) done = GetHardInfo(comm, answer, &answer_len, &sw);
        else if (!strcmp(name, "CreateFile")) done = CreateFile(comm, a, data, len, &sw), answer_len = 0;
        else if (!strcmp(name, "WriteKey")) done = WriteKey(comm, a, b, c, data, len, &sw), answer_len = 0;
        else if (!strcmp(name, "GetChallenge")) done = GetChallenge(comm, a, answer, &answer_len, &sw);
        else if (!strcmp(name, "GetResponse")) done = GetResponse(comm, a, answer, &answer_len, &sw);
        else if (!strcmp(name, "External_Authentication"))
            done = External_Authentication(comm, a, data, len, &sw), answer_len = 0;
        else if (!strcmp(name, "SelectFile")) done = SelectFile(comm, a, b, data, len, answer, &answer_len, &sw);
        else if (!strcmp(name, "ReadRecord"))
            done = ReadRecord(comm, a, b, c, data, len, answer, &answer_len, &sw);
        else if (!strcmp(name, "ReadBinary"))
            done = ReadBinary(comm, a, b, c, 0, data, len, answer, &answer_len, &sw);
        else if (!strcmp(name, "UpdateBinary"))
            done = UpdateBinary(comm, a, b, c, data, len, &sw), answer_len = 0;
        else if (!strcmp(name, "UpdateRecord"))
            done = UpdateRecord(comm, a, b, c, data, len, &sw), answer_len = 0;
        else if (!strcmp(name, "small")) {
            /* A buffer of one byte for a challenge of four. */
            answer_len = 1;
            done = GetChallenge(comm, 4, answer, &answer_len, &sw);
            answer_len = done == YKT_CODE_BUFFER ? 0 : answer_len;
        } else if (!strcmp(name, "null")) done = UpdateBinary(comm, 0, 0x95, 0, NULL, 8, &sw), answer_len = 0;
        else if (!strcmp(name, "closed")) {
            closecomm(comm);
            done = GetHardInfo(comm, answer, &answer_len, &sw);
            answer_len = 0;
        }
        if (done != YKT_CODE_OK && done != YKT_CODE_REFUSED) answer_len = 0;
        printf("%d %04X ", done, sw);
        for (size_t i = 0; i < answer_len; i++) printf("%02X", answer[i]);
        printf("\n");
        fflush(stdout);
    }
    return closecomm(comm) == YKT_CODE_OK ? 0 : 1;
}
