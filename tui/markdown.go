package tui

import (
	"bufio"
	"bytes"
	"html"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	goldmarkhtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

// mostProse is the width from which lines of prose are too long to read well.
const mostProse = 88

// markdown turns Markdown into lines, for the screen or as plain text. In plain
// text what otherwise only the look tells is told by signs (`code` keeps its
// quotes), and lines of code are not broken.
type markdown struct {
	source []byte
	plain  bool
}

// markdownLines is a text in Markdown as lines of at most w cells.
func markdownLines(source string, w int) []line { return newMarkdown(source, false).render(w) }

func newMarkdown(source string, plain bool) markdown {
	return markdown{[]byte(strings.ToValidUTF8(source, "\uFFFD")), plain}
}

func (m markdown) render(w int) []line {
	var lines []line
	for _, l := range m.blocks(m.parse(), w, true) {
		if !m.plain && spansWidth(l.spans) > w { // nested so deeply that no room is left
			lines = append(lines, wrapSpans(l.spans, w, 0)...)
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

func (m markdown) parse() ast.Node { return markdownParser().Parse(text.NewReader(m.source)) }

// markdownParser is the parser of every text; it does not change.
var markdownParser = sync.OnceValue(func() parser.Parser {
	return goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify)).Parser()
})

// inlineMarkdown is a text in Markdown as spans, its paragraphs behind each other.
func inlineMarkdown(source string) []span { return newMarkdown(source, false).paragraphs() }

func (m markdown) paragraphs() []span {
	var out []span
	for n := m.parse().FirstChild(); n != nil; n = n.NextSibling() {
		if len(out) > 0 {
			out = append(out, span{" ", plainLook})
		}
		out = append(out, m.inline(n, plainLook)...)
	}
	return out
}

// headed is Markdown behind a head; below it where the text is more than a paragraph.
func headed(head, source string, w int) []line { return newMarkdown(source, false).headed(head, w) }

func (m markdown) headed(head string, w int) []line {
	doc := m.parse()
	switch only := doc.FirstChild(); {
	case head == "":
		return m.render(w)
	case only == nil, doc.ChildCount() == 1 && only.Kind() == ast.KindParagraph:
		return wrapSpans(append([]span{{head, packetLook}}, m.paragraphs()...), min(w, mostProse), 2)
	}
	return append(wrapped(strings.TrimRight(head, " "), w, 0, packetLook), indented(m.render(w-2), "  ", "  ", plainLook)...)
}

// blocks are the children of a node, with empty lines between them if they are
// to stand apart.
func (m markdown) blocks(parent ast.Node, w int, apart bool) []line {
	var lines []line
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		block := m.block(n, max(w, 4))
		if len(block) == 0 {
			continue
		}
		if apart && len(lines) > 0 {
			lines = append(lines, line{})
		}
		lines = append(lines, block...)
	}
	return lines
}

func (m markdown) block(n ast.Node, w int) []line {
	prose := min(w, mostProse)
	switch n := n.(type) {
	case *ast.Heading:
		return wrapSpans(m.inline(n, accentLook), prose, 0)
	case *ast.Paragraph, *ast.TextBlock:
		return wrapSpans(m.inline(n, plainLook), prose, 0)
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		return indented(m.codeBlock(n, w-4), "    ", "    ", plainLook)
	case *ast.HTMLBlock:
		return preformatted(outputLines(m.raw(n)), w, plainLook)
	case *ast.ThematicBreak:
		return []line{textLine(strings.Repeat(choose(m.plain, "-", "─"), min(prose, 24)), faintLook)}
	case *ast.Blockquote:
		bar := choose(m.plain, "> ", "│ ")
		return indented(m.blocks(n, prose-2, true), bar, bar, faintLook)
	case *ast.List:
		return m.list(n, w)
	case *extast.Table:
		return m.table(n, w)
	}
	return m.blocks(n, w, true)
}

// codeBlock is a block of code.
func (m markdown) codeBlock(n ast.Node, w int) []line {
	code := outputLines(m.raw(n))
	if !m.plain {
		return preformatted(code, w, codeLook)
	}
	var lines []line
	for _, t := range code {
		lines = append(lines, textLine(t, codeLook))
	}
	return lines
}

// raw is the text of a block that is not parsed further.
func (m markdown) raw(n ast.Node) string { return string(n.Lines().Value(m.source)) }

// list is a list, its items behind dots or numbers.
func (m markdown) list(l *ast.List, w int) []line {
	var lines []line
	number := l.Start
	last := itoa(l.Start + l.ChildCount() - 1)
	for item := l.FirstChild(); item != nil; item = item.NextSibling() {
		sign := choose(m.plain, "- ", "• ")
		if l.IsOrdered() {
			sign = pad(itoa(number)+".", len(last)+2)
			number++
		}
		body := m.blocks(item, w-width(sign), !l.IsTight)
		if len(body) == 0 {
			body = []line{{}}
		}
		if !l.IsTight && len(lines) > 0 {
			lines = append(lines, line{})
		}
		lines = append(lines, indented(body, sign, strings.Repeat(" ", width(sign)), softLook)...)
	}
	return lines
}

// inline is the text of a block in spans.
func (m markdown) inline(parent ast.Node, base look) []span {
	spans := m.spans(parent, base)
	for i := range spans {
		if spans[i].text == softBreak {
			spans[i].text = m.joint(spans, i)
		}
	}
	return spans
}

// softBreak stands for a line break of the source until it is known what stands
// on both sides of it.
const softBreak = "\r"

// joint is what a line break of the source becomes: nothing between two wide
// characters, since those are written without blanks.
func (m markdown) joint(spans []span, at int) string {
	if at > 0 && at+1 < len(spans) && endsWide(spans[at-1].text) && beginsWide(spans[at+1].text) {
		return ""
	}
	return " "
}

func (m markdown) spans(parent ast.Node, base look) []span {
	var out []span
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Text:
			out = append(out, span{clean(unescape(n.Value(m.source))), base})
			if n.HardLineBreak() {
				out = append(out, span{"\n", base})
			} else if n.SoftLineBreak() {
				out = append(out, span{softBreak, base})
			}
		case *ast.String:
			out = append(out, span{clean(string(n.Value)), base})
		case *ast.CodeSpan:
			out = append(out, m.code(n)...)
		case *ast.Emphasis:
			out = append(out, m.spans(n, choose(n.Level > 1, strongLook, emphasisLook))...)
		case *ast.AutoLink:
			out = append(out, span{clean(string(n.Label(m.source))), linkLook})
		case *ast.Link:
			out = append(out, m.link(n)...)
		case *ast.RawHTML:
			out = append(out, span{clean(string(n.Segments.Value(m.source))), base})
		default:
			out = append(out, m.spans(n, base)...)
		}
	}
	return out
}

func (m markdown) code(n *ast.CodeSpan) []span {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			b.Write(t.Value(m.source))
		}
	}
	code := clean(b.String()) // line breaks have become blanks
	return []span{{choose(m.plain, "`"+code+"`", code), codeLook}}
}

// unescape is the text that stands in Markdown with backslashes and entities.
// The parser leaves them to its writer of HTML.
func unescape(source []byte) string {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	goldmarkhtml.DefaultWriter.Write(w, source)
	if err := w.Flush(); err != nil {
		return string(source) // a buffer in memory takes everything
	}
	return html.UnescapeString(b.String())
}

// link is a link's text and, where that does not tell it, its address.
func (m markdown) link(n *ast.Link) []span {
	label := m.spans(n, linkLook)
	address := clean(string(n.Destination))
	if lineText(line{spans: label}) == address {
		return label
	}
	return append(label, span{" (" + address + ")", softLook})
}

// escapeMarkdown makes a text mean itself in Markdown.
func escapeMarkdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "<", `\<`, "~", `\~`, "|", `\|`).Replace(s)
}
