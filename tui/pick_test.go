package tui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// catalogueItems is as many items as a full catalogue has.
func catalogueItems(lang string) []Item {
	items := []Item{
		{Name: "publish-port", Title: "Publish a container's port", Summary: "A published port is `DNAT` in PREROUTING and an ACCEPT in FORWARD.", Chapter: "The course", Progress: Done},
		{Name: "drop", Title: "Who dropped it?", Summary: "A policy and a rule, and how to tell one from the other.", Chapter: "The course", Progress: Begun},
	}
	if lang == "zh" {
		items = []Item{
			{Name: "publish-port", Title: "发布一个端口", Summary: "发布端口就是 PREROUTING 中的 `DNAT` 加上 FORWARD 中的 ACCEPT。", Chapter: "课程", Progress: Done},
			{Name: "drop", Title: "是谁丢弃了它？", Summary: "默认策略与规则，以及如何分辨两者。", Chapter: "课程", Progress: Begun},
		}
	}
	for i := range 28 {
		item := items[i%2]
		item.Name, item.Progress = fmt.Sprintf("%s-%d", item.Name, i+3), Untouched
		if i >= 14 {
			item.Chapter = choose(lang == "zh", "挑战", "Challenges")
		}
		items = append(items, item)
	}
	return items
}

func newTestPicker(lang string, w, h int) *picker {
	p := newPicker(lang, catalogueItems(lang))
	p.width, p.height = w, h
	return p
}

func TestPicker(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		p := newTestPicker(lang, 80, 24)
		var b strings.Builder
		for _, k := range []string{"home", "down", "pgdown", "pgdown", "end"} {
			p.press(keyOf(k))
			fmt.Fprintf(&b, "== %s\n%s\n", k, ansi.Strip(p.frame()))
		}
		golden(t, "picker-80x24-"+lang, b.String())
	}
}

func TestPickerChooses(t *testing.T) {
	p := newTestPicker("en", 80, 24)
	for _, k := range []string{"up", "pgdown", "pgup", "down", "down", "up"} {
		p.press(keyOf(k))
	}
	if cmd := p.press(keyOf("enter")); cmd == nil || p.chosen != 1 {
		t.Errorf("chosen %d", p.chosen)
	}
	empty := newPicker("en", nil)
	empty.width, empty.height = 80, 24
	if empty.press(keyOf("enter")); empty.chosen != -1 || !strings.Contains(empty.frame(), "nothing to choose") {
		t.Error("something can be chosen where there is nothing")
	}
}
