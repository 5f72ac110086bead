package tui

import (
	"packetwalk/scenarios"
	"packetwalk/scenarios/play"
)

// commands adds the commands that the scenario ran or, with partTyped, those
// that came afterwards.
func (p cardPanel) commands(d *document, w int, part part) {
	var before play.Ran
	for i, r := range p.l.state.Ran {
		if (r.By == play.ByScenario) != (part == partRan) {
			continue
		}
		lines := p.command(r, w)
		if len(d.lines) > 0 && before.Text != "" && before.Output == "" && r.Output == "" {
			d.join(mark{part, i}, lines)
		} else {
			d.add(mark{part, i}, lines)
		}
		before = r
	}
}

// command is a command as it was typed, what it printed and, where it is not 0,
// its exit code.
func (p cardPanel) command(r play.Ran, w int) []line {
	m := p.w.m.Lesson
	lines := typed(r.Command, w)
	lines = append(lines, preformatted(outputLines(r.Output), w, plainLook)...)
	if r.Omitted > 0 {
		lines = append(lines, wrapped(fill(m.Omitted, "n", itoa(int(r.Omitted))), w, 0, warningLook)...)
	}
	switch {
	case r.Undone:
		return append(lines, wrapped("↶ "+m.TakenBack, w, 2, softLook)...)
	case !r.Done:
		return append(lines, textLine(ellipsis, packetLook))
	case r.Exit != 0 && r.Fails:
		return append(lines, wrapped(fill(m.Meant, "code", itoa(r.Exit)), w, 0, softLook)...)
	case r.Exit != 0:
		return append(lines, wrapped("✗ "+fill(m.ExitCode, "code", itoa(r.Exit)), w, 2, badLook)...)
	}
	return lines
}

// typed is a command behind the prompt of its node.
func typed(c scenarios.Command, w int) []line {
	prompt := promptOf(c.Node)
	var lines []line
	for i, t := range fold(prompt+clean(c.Text), w) {
		if i > 0 || len(t) < len(prompt) {
			lines = append(lines, textLine(t, codeLook))
			continue
		}
		lines = append(lines, line{spans: []span{{t[:len(prompt)], softLook}, {t[len(prompt):], codeLook}}})
	}
	return lines
}

// promptOf is what stands before a command.
func promptOf(node string) string { return clean(node) + "$ " }
