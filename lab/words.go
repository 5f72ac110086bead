package lab

import "strings"

// word is one word of a command line, without its quotes.
type word struct {
	text   string
	offset int // where it begins, in bytes
}

// splitWords splits a command line as a shell does (POSIX.1-2017, Shell Command
// Language, section 2.2), without expanding anything: characters that would make
// a shell do more than run one command are refused unless quoted.
func splitWords(text string) ([]word, error) {
	s := splitter{text: text}
	for s.at < len(text) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.endWord()
	return s.words, nil
}

// splitter is the state between two characters outside quotes.
type splitter struct {
	text   string
	at     int
	words  []word
	inWord bool
	start  int
	buf    strings.Builder
}

func (s *splitter) fault(offset int, problem string) error {
	return &CommandError{Command: s.text, Offset: offset, Problem: problem}
}

// shell is the fault of a command that a shell would understand.
func (s *splitter) shell(offset int, problem string) error {
	return &CommandError{Command: s.text, Offset: offset, Problem: problem, NeedsShell: true}
}

// step reads one character, or one quoted part.
func (s *splitter) step() error {
	c := s.text[s.at]
	switch {
	case c == ' ' || c == '\t':
		s.endWord()
		s.at++
	case c == '\n' || c == '\r':
		s.endWord()
		if strings.TrimSpace(s.text[s.at:]) != "" {
			return s.shell(s.at, "it goes on in a second line")
		}
		s.at = len(s.text)
	case c == '#' && !s.inWord:
		s.at = len(s.text)
	case c == 0:
		return s.fault(s.at, "it holds a zero byte")
	case strings.IndexByte(";|&<>()$`", c) >= 0:
		return s.shell(s.at, "there is no shell here to understand "+string(rune(c)))
	case c == '\\':
		s.escape()
	case c == '\'':
		return s.single()
	case c == '"':
		return s.double()
	default:
		s.put(c)
		s.at++
	}
	return nil
}

// begin marks that a word has begun, even if nothing is in it yet.
func (s *splitter) begin() {
	if !s.inWord {
		s.inWord, s.start = true, s.at
	}
}

func (s *splitter) put(c byte) {
	s.begin()
	s.buf.WriteByte(c)
}

func (s *splitter) endWord() {
	if s.inWord {
		s.words = append(s.words, word{s.buf.String(), s.start})
	}
	s.inWord = false
	s.buf.Reset()
}

// escape reads a backslash and what follows; before the end of a line, both vanish.
func (s *splitter) escape() {
	s.at++
	if s.at == len(s.text) {
		s.at--
		s.put('\\')
	} else if s.text[s.at] != '\n' {
		s.at--
		s.begin()
		s.at++
		s.buf.WriteByte(s.text[s.at])
	}
	s.at++
}

// single reads a part in single quotes, where nothing is special.
func (s *splitter) single() error {
	end := strings.IndexByte(s.text[s.at+1:], '\'')
	if end < 0 {
		return s.fault(s.at, "a single quote is never closed")
	}
	s.begin()
	s.buf.WriteString(s.text[s.at+1 : s.at+1+end])
	s.at += end + 2
	return s.noZero()
}

// double reads a part in double quotes, where a backslash protects only a
// quote, a backslash, a dollar sign and a backquote.
func (s *splitter) double() error {
	s.begin()
	open := s.at
	for s.at++; s.at < len(s.text); s.at++ {
		c := s.text[s.at]
		switch {
		case c == '"':
			s.at++
			return s.noZero()
		case c == '$' || c == '`':
			return s.shell(s.at, "there is no shell here to understand "+string(rune(c)))
		case c == '\\' && s.at+1 < len(s.text) && strings.IndexByte("\"\\$`", s.text[s.at+1]) >= 0:
			s.at++
			c = s.text[s.at]
		}
		s.buf.WriteByte(c)
	}
	return s.fault(open, "a double quote is never closed")
}

// noZero refuses a zero byte: no argument of a program can hold one.
func (s *splitter) noZero() error {
	if strings.IndexByte(s.buf.String(), 0) >= 0 {
		return s.fault(s.start, "it holds a zero byte")
	}
	return nil
}
