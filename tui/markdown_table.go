package tui

import (
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
)

const (
	// columnGap is the room between two columns of a table.
	columnGap = 2
	// leastColumn is the width below which a column is too narrow to be read.
	leastColumn = 6
)

// tableRow is the cells of a row.
type tableRow [][]span

// table is a table in columns or, where they have no room, as a list of fields.
// In plain text no cell is wrapped: read line by line, that would be a muddle.
func (m markdown) table(t *extast.Table, w int) []line {
	var rows []tableRow
	for r := t.FirstChild(); r != nil; r = r.NextSibling() {
		_, head := r.(*extast.TableHeader)
		rows = append(rows, m.row(r, choose(head, strongLook, plainLook)))
	}
	least := choose(m.plain, w, leastColumn)
	widths, ok := columnWidths(rows, w, least)
	if !ok {
		return tableFields(rows, w, choose(m.plain, "- ", "• "))
	}
	var lines []line
	for i, r := range rows {
		lines = append(lines, tableLines(r, widths)...)
		if i == 0 {
			lines = append(lines, tableRule(widths))
		}
	}
	return lines
}

func (m markdown) row(r ast.Node, base look) tableRow {
	var row tableRow
	for c := r.FirstChild(); c != nil; c = c.NextSibling() {
		row = append(row, m.inline(c, base))
	}
	return row
}

// columnWidths divides w among the columns: as much as the cells need, else
// less for the widest. It fails where that would become narrower than least.
func columnWidths(rows []tableRow, w, least int) ([]int, bool) {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 1)
			}
			widths[i] = max(widths[i], spansWidth(c))
		}
	}
	total := columnGap * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for ; total > w; total-- {
		widest := 0
		for i, n := range widths {
			if n > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= least || least == w {
			return nil, false
		}
		widths[widest]--
	}
	return widths, true
}

// tableLines is one row, as high as its highest cell.
func tableLines(r tableRow, widths []int) []line {
	cells := make([][]line, len(r))
	height := 0
	for i, c := range r {
		cells[i] = wrapSpans(c, widths[i], 0)
		height = max(height, len(cells[i]))
	}
	lines := make([]line, height)
	for y := range lines {
		for i, c := range cells {
			used := 0
			if y < len(c) {
				lines[y].spans = append(lines[y].spans, c[y].spans...)
				used = spansWidth(c[y].spans)
			}
			if i < len(cells)-1 {
				lines[y].add(strings.Repeat(" ", widths[i]-used+columnGap), plainLook)
			}
		}
	}
	return lines
}

func tableRule(widths []int) line {
	parts := make([]string, len(widths))
	for i, n := range widths {
		parts[i] = strings.Repeat("─", n)
	}
	return textLine(strings.Join(parts, strings.Repeat(" ", columnGap)), faintLook)
}

// tableFields is a table as a list: for every row its fields, each behind the
// name of its column.
func tableFields(rows []tableRow, w int, sign string) []line {
	var lines []line
	for _, r := range rows[1:] {
		for i, c := range r {
			field := c
			if i < len(rows[0]) {
				field = append(append(append([]span{}, rows[0][i]...), span{": ", softLook}), c...)
			}
			lines = append(lines, indented(wrapSpans(field, max(2, w-2), 0), choose(i == 0, sign, "  "), "  ", softLook)...)
		}
	}
	return lines
}
