//! A text without its constants, for logs: what was asked, and nothing of what was asked about.
//!
//! This is a lexer of its own and not the parser: it must not fail where the parser does, and
//! it must be cheap enough for roles whose statements are not judged. It reads as PostgreSQL
//! does with `standard_conforming_strings` on:
//! <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>

/// The text with `?` for each constant and `(?, …)` for a list of constants, without comments,
/// and with one space where there was more. Parameters such as `$1` and quoted identifiers
/// stay. What is not terminated swallows the rest of the text.
pub fn normalize(text: &str) -> String {
    let mut lexer = Lexer {
        text,
        at: 0,
        out: Output::default(),
    };
    while let Some(byte) = lexer.peek(0) {
        lexer.token(byte);
    }
    lexer.out.text
}

struct Lexer<'a> {
    text: &'a str,
    /// Always at the boundary of a character: every token ends before or after an ASCII one.
    at: usize,
    out: Output,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Moves on for as long as bytes are of a kind.
    fn skip(&mut self, of_kind: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&of_kind) {
            self.at += 1;
        }
    }

    fn skip_rest(&mut self) {
        self.at = self.text.len();
    }

    fn token(&mut self, byte: u8) {
        let start = self.at;
        match (byte, self.peek(1)) {
            (b'-', Some(b'-')) => self.line_comment(),
            (b'/', Some(b'*')) => self.block_comment(),
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => {
                self.at += 1;
                self.out.space();
            }
            (b'\'', _) => self.string(Escapes::Doubled),
            (b'"', _) => self.quoted_identifier(start),
            (b'$', _) => self.dollar(start),
            (b'0'..=b'9', _) | (b'.', Some(b'0'..=b'9')) => self.number(),
            _ if is_identifier_start(byte) => self.word(start),
            _ => {
                self.at += 1;
                self.out.symbol(byte);
            }
        }
    }

    fn line_comment(&mut self) {
        self.skip(|byte| !matches!(byte, b'\n' | b'\r'));
        self.out.space();
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        break;
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => break,
            }
        }
        self.out.space();
    }

    /// From a string's first quote to its last one, continuations on further lines included.
    fn string(&mut self, escapes: Escapes) {
        self.at += 1;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'\\'), next) if escapes == Escapes::Backslash => {
                    self.at += 1 + usize::from(next.is_some());
                }
                (Some(b'\''), Some(b'\'')) => self.at += 2,
                (Some(b'\''), _) => {
                    self.at += 1;
                    match self.continuation() {
                        Some(at) => self.at = at + 1,
                        None => break,
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => break,
            }
        }
        // A backslash may have been before a character of several bytes.
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        self.out.constant();
    }

    /// Where the next quote is, if nothing is before it but white space with a line's end in it,
    /// and comments to a line's end after that.
    fn continuation(&self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        let mut lines = 0;
        loop {
            match bytes.get(at..)? {
                [b'\n' | b'\r', ..] => {
                    lines += 1;
                    at += 1;
                }
                [b' ' | b'\t' | 0x0b | 0x0c, ..] => at += 1,
                [b'-', b'-', ..] => {
                    let line = bytes[at..].iter();
                    at += line.take_while(|b| !matches!(b, b'\n' | b'\r')).count();
                }
                [b'\'', ..] if lines > 0 => return Some(at),
                _ => return None,
            }
        }
    }

    fn quoted_identifier(&mut self, start: usize) {
        self.at += 1;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'"'), Some(b'"')) => self.at += 2,
                (Some(b'"'), _) => {
                    self.at += 1;
                    return self.out.token(&self.text[start..self.at]);
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return self.out.token("\"…\""),
            }
        }
    }

    /// `$1`, `$$…$$`, `$tag$…$tag$`, or a stray dollar sign.
    fn dollar(&mut self, start: usize) {
        self.at += 1;
        if self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip(|byte| byte.is_ascii_digit());
            return self.out.token(&self.text[start..self.at]);
        }
        if self.peek(0).is_some_and(is_identifier_start) {
            self.skip(|byte| is_identifier_start(byte) || byte.is_ascii_digit());
        }
        if self.peek(0) != Some(b'$') {
            return self.out.token(&self.text[start..self.at]);
        }
        self.at += 1;
        let tag = &self.text[start..self.at];
        match self.text[self.at..].find(tag) {
            Some(len) => self.at += len + tag.len(),
            None => self.skip_rest(),
        }
        self.out.constant();
    }

    /// All forms that any version has: `1`, `1_000`, `1.5e-3`, `.5`, `0x1F`.
    fn number(&mut self) {
        let digits = |byte: u8| byte.is_ascii_digit() || byte == b'_';
        if self.peek(0) == Some(b'0')
            && matches!(self.peek(1), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B'))
            && self
                .peek(2)
                .is_some_and(|b| b.is_ascii_hexdigit() || b == b'_')
        {
            self.at += 2;
            self.skip(|byte| byte.is_ascii_hexdigit() || byte == b'_');
            return self.out.constant();
        }
        self.skip(digits);
        if self.peek(0) == Some(b'.') {
            self.at += 1;
            self.skip(digits);
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if self
                .peek(1 + sign)
                .is_some_and(|byte| byte.is_ascii_digit())
            {
                self.at += 1 + sign;
                self.skip(digits);
            }
        }
        self.out.constant();
    }

    /// A keyword, an identifier, or the letters that begin a string of another kind.
    fn word(&mut self, start: usize) {
        self.skip(|byte| is_identifier_start(byte) || byte.is_ascii_digit() || byte == b'$');
        let word = &self.text[start..self.at];
        match (word, self.peek(0), self.peek(1)) {
            ("e" | "E", Some(b'\''), _) => self.string(Escapes::Backslash),
            ("b" | "B" | "n" | "N" | "x" | "X", Some(b'\''), _) => self.string(Escapes::Doubled),
            ("u" | "U", Some(b'&'), Some(b'\'')) => {
                self.at += 1;
                self.string(Escapes::Doubled);
            }
            ("u" | "U", Some(b'&'), Some(b'"')) => {
                self.at += 1;
                self.quoted_identifier(start);
            }
            _ => self.out.token(word),
        }
    }
}

/// How a quote is written inside a string.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Escapes {
    /// `\'`, and doubled as well.
    Backslash,
    /// `''`
    Doubled,
}

/// What comes out, and how much of a list of constants it ends with.
#[derive(Default)]
struct Output {
    text: String,
    is_space_due: bool,
    item: Item,
    list: Option<List>,
}

/// What of an item of a list has been seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Item {
    Constant,
    /// Nothing, or a sign.
    #[default]
    Empty,
    Other,
}

/// A list that so far is of constants.
#[derive(Clone, Copy, Debug)]
enum List {
    Empty,
    /// The text's length after the first one.
    Of(usize),
}

impl Output {
    fn space(&mut self) {
        self.is_space_due = true;
    }

    fn push(&mut self, text: &str) {
        if self.is_space_due && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.is_space_due = false;
        self.text.push_str(text);
    }

    fn token(&mut self, text: &str) {
        self.item = Item::Other;
        self.push(text);
    }

    fn constant(&mut self) {
        self.item = match self.item {
            Item::Empty => Item::Constant,
            Item::Constant | Item::Other => Item::Other,
        };
        self.push("?");
    }

    fn symbol(&mut self, byte: u8) {
        match byte {
            b'(' | b'[' => {
                self.list = Some(List::Empty);
                self.item = Item::Empty;
            }
            b',' => self.end_item(),
            b')' | b']' => {
                self.end_item();
                self.list = None;
                self.item = Item::Other;
            }
            b'+' | b'-' if self.item == Item::Empty => {}
            _ => self.item = Item::Other,
        }
        self.push(char::from(byte).encode_utf8(&mut [0; 4]));
    }

    /// Drops an item that is one more constant in a list of them.
    fn end_item(&mut self) {
        self.list = match (self.list, self.item) {
            (Some(List::Empty), Item::Constant) => Some(List::Of(self.text.len())),
            (Some(List::Of(len)), Item::Constant) => {
                self.text.truncate(len);
                self.text.push_str(", …");
                self.is_space_due = false;
                Some(List::Of(len))
            }
            (None, _) | (_, Item::Empty | Item::Other) => None,
        };
        self.item = Item::Empty;
    }
}

fn is_identifier_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

#[cfg(test)]
mod tests;
