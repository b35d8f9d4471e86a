//! Finding words in a text, whatever the accents, the case and the script.
//!
//! Text and words are brought into one form: a row of tokens with a space before, between and after them. A word is in
//! a text if its row is in the text's row. In scripts that write without spaces, and in Hangul, whose words carry their
//! endings, every character is a token of its own, so that a word is found inside a sentence.

use std::fmt::Write as _;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

/// A text that words are looked for in.
#[derive(Debug, Default)]
pub(crate) struct Text {
    tokens: String,
    /// Its ASCII letters and digits, each a bit.
    letters: u128,
}

impl Text {
    /// A text made of parts. Words are not found across two parts.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tokens = String::new();
        for part in parts {
            write_tokens(part, &mut tokens);
            // No word has a line break in its form.
            tokens.push('\n');
        }
        let letters = letters(&tokens);
        Self { tokens, letters }
    }

    /// Whether it has no word in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.tokens.trim().is_empty()
    }

    /// Whether this word, or phrase, is in it. A word of nothing but punctuation is in no text.
    pub(crate) fn has(&self, word: &str, buffer: &mut String) -> bool {
        // ASCII letters stay themselves in every form: most words are told apart by them alone, without the tables.
        if letters(word) & !self.letters != 0 {
            return false;
        }
        buffer.clear();
        write_tokens(word, buffer);
        buffer.len() > 1 && self.tokens.contains(buffer.as_str())
    }
}

/// The ASCII letters and digits of a text, whatever their case, each a bit.
fn letters(text: &str) -> u128 {
    let ascii = text.bytes().filter(u8::is_ascii_alphanumeric);
    ascii.fold(0, |set, byte| set | 1 << byte.to_ascii_lowercase())
}

/// Writes the tokens of a text, each with a space before it, and a last space.
fn write_tokens(text: &str, tokens: &mut String) {
    let mut row = Row { tokens, continues: false };
    if text.is_ascii() {
        // The tables say nothing about ASCII, and most words are.
        for c in text.chars() {
            row.push(c.to_ascii_lowercase());
        }
    } else {
        // Decompose, so that accents come off and compatible forms become one; fold the case; compose again what is
        // one character to its readers (Hangul, voiced kana).
        let folded = text.nfkd().filter(|c| !is_dropped(*c)).flat_map(fold).filter(|c| !is_dropped(*c));
        for c in folded.nfc() {
            row.push(c);
        }
    }
    row.tokens.push(' ');
}

struct Row<'a> {
    tokens: &'a mut String,
    /// Whether a letter goes on the word before it.
    continues: bool,
}

impl Row<'_> {
    fn push(&mut self, c: char) {
        if is_separator(c) {
            self.continues = false;
        } else if is_word(c) && !stands_alone(c) {
            if !self.continues {
                self.tokens.push(' ');
            }
            self.tokens.push(c);
            self.continues = true;
        } else if is_mark(c) {
            // Part of the character before it, in every script.
            self.tokens.push(c);
        } else {
            self.tokens.push(' ');
            self.tokens.push(c);
            self.continues = false;
        }
    }
}

/// Whether readers take the character for ornament: accents, Arabic and Hebrew vowel points, nukta, invisible
/// characters. Vowel signs of Indic scripts, Thai vowels and tones, and the voicing of kana make other words, and stay.
fn is_dropped(c: char) -> bool {
    match c {
        // Soft hyphen, Arabic letter mark, joiners and direction marks, byte order mark, tatweel, variation selectors,
        // the keycap's frame.
        '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{feff}'
        | '\u{640}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{20e3}'
        | '\u{e0100}'..='\u{e01ef}' => true,
        _ if c.is_ascii() => false,
        // Classes of the Unicode Character Database: 1 overlays, 7 nukta, 10 to 36 points of Hebrew, Arabic and Syriac,
        // from 200 on by position, which is where accents are.
        _ => matches!(canonical_combining_class(c), 1 | 7 | 10..=36 | 200..=240),
    }
}

/// Folds the case, as Unicode's full case folding does for decomposed text, and makes one of letters that people type
/// for one another.
fn fold(c: char) -> impl Iterator<Item = char> {
    let c = match c {
        'ø' | 'Ø' => 'o',
        'ł' | 'Ł' => 'l',
        'đ' | 'Đ' | 'ð' | 'Ð' => 'd',
        // Arabic and Persian keyboards have different letters of the same look; final yeh and teh marbuta are left
        // without their dots.
        'ى' | 'ی' => 'ي',
        'ک' => 'ك',
        'ة' => 'ه',
        // Hindi: candrabindu is written as anusvara.
        'ँ' => 'ं',
        c => c,
    };
    // Lower case of upper case is the folding: ß and ẞ become ss, ς becomes σ, ı becomes i.
    c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() && !is_mark(c) || c.is_ascii_alphanumeric()
}

fn is_mark(c: char) -> bool {
    !c.is_ascii() && is_combining_mark(c)
}

/// Whether the character is a token of its own: Han, kana, bopomofo, Hangul, Thai, Lao, Khmer, Myanmar.
const fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{e01}'..='\u{e4e}' | '\u{e81}'..='\u{ecd}' | '\u{edc}'..='\u{edf}' | '\u{1000}'..='\u{109f}'
        | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17d3}' | '\u{3005}' | '\u{3007}' | '\u{3041}'..='\u{312f}'
        | '\u{31a0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{a960}'..='\u{a97f}'
        | '\u{aa60}'..='\u{aa7f}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Whether the character only keeps words apart. Other signs (currencies, emoji, arrows) are tokens.
fn is_separator(c: char) -> bool {
    match c {
        '$' | '+' | '#' | '%' => false,
        _ if c.is_ascii() => !c.is_ascii_alphanumeric(),
        // Latin-1 without its currencies, letters and numbers; punctuation of Armenian, Hebrew, Arabic and the Indic
        // scripts; general, supplemental and CJK punctuation.
        '\u{a0}'
        | '\u{a1}'
        | '\u{a6}'..='\u{a9}'
        | '\u{ab}'..='\u{b1}'
        | '\u{b4}'
        | '\u{b6}'..='\u{b8}'
        | '\u{bb}'
        | '\u{bf}'
        | '\u{55a}'..='\u{55f}'
        | '\u{589}'
        | '\u{5be}'
        | '\u{5c0}'
        | '\u{5c3}'
        | '\u{5f3}'
        | '\u{5f4}'
        | '\u{60c}'
        | '\u{61b}'
        | '\u{61f}'
        | '\u{66a}'..='\u{66d}'
        | '\u{6d4}'
        | '\u{964}'
        | '\u{965}'
        | '\u{2000}'..='\u{206f}'
        | '\u{2e00}'..='\u{2e7f}'
        | '\u{3000}'..='\u{3003}'
        | '\u{3008}'..='\u{3020}'
        | '\u{30fb}' => true,
        _ => c.is_whitespace() || c.is_control(),
    }
}

/// A word as it is shown in a reason.
pub(crate) fn quote(word: &str) -> String {
    let mut quoted = String::with_capacity(word.len() + 2);
    // Writing to a string does not fail.
    let _ = write!(quoted, "“{word}”");
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, word: &str, found: bool) {
        let mut buffer = String::new();
        assert_eq!(Text::of([text]).has(word, &mut buffer), found, "{word:?} in {text:?}");
    }

    #[test]
    fn words_are_whole() {
        for (text, word, found) in [
            ("Where is my invoice?", "invoice", true),
            ("Where is my INVOICE", "Invoice", true),
            ("invoices", "invoice", false),
            ("preinvoice", "invoice", false),
            ("*invoice*", "invoice", true),
            ("_invoice_ please", "invoice", true),
            ("#invoice", "invoice", true),
            ("invoice.pdf", "invoice", true),
            ("invoice123", "invoice", false),
            ("I want a refund, request it", "refund request", true),
            ("refund   -  request", "refund request", true),
            ("refund for my request", "refund request", false),
            ("refund requests", "refund request", false),
            ("I don't know", "don't", true),
            ("I don’t know", "don't", true),
            ("C++ or C", "c++", true),
            ("C or D", "c++", false),
            ("50% off", "50%", true),
            ("anything", "", false),
            ("anything?!", "?!", false),
            ("", "a", false),
        ] {
            check(text, word, found);
        }
    }

    #[test]
    fn accents_and_case_do_not_matter() {
        for (text, word, found) in [
            ("Café", "cafe", true),
            ("cafe", "café", true),
            // The same word, decomposed.
            ("cafe\u{301}", "café", true),
            ("STRASSE", "Straße", true),
            ("STRAẞE", "straße", true),
            ("İADE istiyorum", "iade", true),
            ("ıade", "iade", true),
            ("ΟΔΟΣ", "οδός", true),
            ("ЕЩЁ РАЗ", "еще раз", true),
            ("Łódź", "lodz", true),
            ("SMØRREBRØD", "smorrebrod", true),
            ("ﬁnance", "finance", true),
            ("ＩＮＶＯＩＣＥ", "invoice", true),
            ("factura año", "ano", true),
            ("co\u{ad}operate", "cooperate", true),
        ] {
            check(text, word, found);
        }
    }

    #[test]
    fn scripts_without_spaces_are_searched_inside() {
        for (text, word, found) in [
            ("我要退款，谢谢", "退款", true),
            ("我要退货", "退款", false),
            ("返金してください", "返金", true),
            ("がっこう", "かっこう", false),
            ("ｶﾞｽ料金", "ガス", true),
            ("请发invoice给我", "invoice", true),
            ("ขอคืนเงินค่ะ", "คืนเงิน", true),
            ("ขอคืนของ", "คืนเงิน", false),
            ("환불을 원해요", "환불", true),
            // The same syllables, decomposed.
            ("\u{1112}\u{116a}\u{11ab}\u{1107}\u{116e}\u{11af}을", "환불", true),
            // A syllable is not found inside another one.
            ("각", "가", false),
        ] {
            check(text, word, found);
        }
    }

    #[test]
    fn vowel_marks_are_handled_as_readers_do() {
        for (text, word, found) in [
            // Arabic with and without vowel points, hamza and tatweel.
            ("أُرِيدُ فَاتُورَة", "فاتورة", true),
            ("فاتوره", "فاتورة", true),
            ("اريد", "أريد", true),
            ("فـــاتورة", "فاتورة", true),
            ("الفاتورة", "فاتورة", false),
            ("می‌خواهم", "میخواهم", true),
            // Hebrew points.
            ("חֶשְׁבּוֹנִית", "חשבונית", true),
            // Hindi vowel signs tell words apart; nukta does not, nor candrabindu from anusvara.
            ("मुझे बिल चाहिए", "बिल", true),
            ("मुझे बिल चाहिए", "बल", false),
            ("मुझे बिल चाहिए।", "चाहिए", true),
            ("ज़रूरी", "जरूरी", true),
            ("हाँ", "हां", true),
            ("बिलों", "बिल", false),
        ] {
            check(text, word, found);
        }
    }

    #[test]
    fn emoji_are_words() {
        check("so happy 👍🏽!", "👍🏽", true);
        check("so happy👍", "👍", true);
        check("❤️", "❤", true);
        check("it costs 5€", "€", true);
    }

    #[test]
    fn words_are_not_found_across_parts() {
        let text = Text::of(["my refund", "request.pdf"]);
        let mut buffer = String::new();
        assert!(!text.has("refund request", &mut buffer));
        assert!(text.has("request", &mut buffer));
        assert!(Text::of(["", " … "]).is_empty());
    }
}
