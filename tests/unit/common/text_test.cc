#include "common/text.h"

#include <catch2/catch.hpp>

using kagami::utf8_prefix;
using kagami::valid_utf8;
using namespace std::string_literals;

TEST_CASE("valid UTF-8 passes unchanged, controls of ASCII too") {
    for (const std::string& text : {""s, "plain\tand\nlines"s, "\0"s, "Grüße, 東京 🗼"s, "\u00a0"s, "\u07ff\u0800"s,
                                    "\ud7ff\ue000\uffff"s, "\U00010000\U0010ffff"s}) {
        CHECK(valid_utf8(text) == text);
    }
}

TEST_CASE("every byte of no whole character becomes a question mark") {
    CHECK(valid_utf8("a\x80"
                     "b") == "a?b");                                 // a continuation alone
    CHECK(valid_utf8("\xff\xfe\xf5") == "???");                      // never in UTF-8
    CHECK(valid_utf8("\xc3") == "?");                                // cut off
    CHECK(valid_utf8("x\xe6\x9d") == "x??");                         // cut off
    CHECK(valid_utf8("\xf0\x9f\x97") == "???");                      // cut off
    CHECK(valid_utf8("\xc3(") == "?(");                              // no continuation
    CHECK(valid_utf8("\xe6\x9dX\xe6\x9d\xb1") == "??X東");           // the next character survives
    CHECK(valid_utf8("\xc0\xaf\xc1\xbf") == "????");                 // overlong
    CHECK(valid_utf8("\xe0\x9f\xbf\xf0\x8f\xbf\xbf") == "???????");  // overlong
    CHECK(valid_utf8("\xed\xa0\x80") == "???");                      // a surrogate
    CHECK(valid_utf8("\xf4\x90\x80\x80") == "????");                 // above U+10FFFF
    CHECK(valid_utf8("M\xfcller in Latin-1") == "M?ller in Latin-1");
}

TEST_CASE("a C1 control becomes a question mark, because terminals obey it") {
    CHECK(valid_utf8("\u009b31m") == "?31m");
    CHECK(valid_utf8("\u0080\u009f\u00a0") == "??\u00a0");
    CHECK(valid_utf8("\x9b") == "?");
}

TEST_CASE("a prefix ends with a whole character") {
    CHECK(utf8_prefix("abc", 3) == "abc");
    CHECK(utf8_prefix("abc", 2) == "ab");
    CHECK(utf8_prefix("a東b", 4) == "a東");
    for (const size_t limit : {1, 2, 3}) CHECK(utf8_prefix("a東b", limit) == "a");
    CHECK(utf8_prefix("🗼", 3).empty());
    CHECK(utf8_prefix("🗼", 0).empty());
}
