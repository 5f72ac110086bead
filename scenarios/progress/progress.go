// Package progress keeps how far a user has come in the scenarios, in a file of
// the user's own. What counts as progress is decided by package play.
package progress

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Entry is how far a user has come in one scenario.
type Entry struct {
	// Steps holds the names of the steps that were finished.
	Steps []string `json:"steps"`
	// Alone holds the names of those whose goals were reached without the
	// solution's help.
	Alone []string `json:"alone,omitempty"`
	// Done says that the last step was finished, at some time.
	Done bool `json:"done"`
	// Updated is when the entry changed last, UTC.
	Updated time.Time `json:"updated"`
}

// File is where progress is kept.
type File struct{ path string }

// content is what the file holds.
type content struct {
	// Version is of the file's form.
	Version   int              `json:"version"`
	Scenarios map[string]Entry `json:"scenarios"`
}

const version = 1

// Default is the file below the XDG state folder (XDG Base Directory
// Specification 0.8): $XDG_STATE_HOME, or .local/state in the home folder.
func Default() (File, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // the specification has relative paths ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return File{}, fmt.Errorf("finding the folder for progress: %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return At(filepath.Join(state, "packetwalk", "progress.json")), nil
}

// At is the file of a path, which need not exist.
func At(path string) File { return File{path} }

// Read is the progress in every scenario, by its name. Where there is no file,
// there is no progress.
func (f File) Read() (map[string]Entry, error) {
	c, err := f.read()
	return c.Scenarios, err
}

func (f File) read() (content, error) {
	c := content{Version: version, Scenarios: map[string]Entry{}}
	data, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("reading progress: %w", err)
	}
	var read content
	if err := json.Unmarshal(data, &read); err != nil {
		return c, fmt.Errorf("reading progress from %s: %w; move the file away to begin anew", f.path, err)
	}
	if read.Version != version {
		return c, fmt.Errorf("reading progress from %s: it is of version %d, and this program knows version %d", f.path, read.Version, version)
	}
	if read.Scenarios != nil {
		c.Scenarios = read.Scenarios
	}
	return c, nil
}

// Step notes that a step of a scenario was finished: alone, where its goal was
// reached without help, and last, where it was the scenario's last. A file that
// cannot be read is left as it is.
func (f File) Step(scenario, step string, alone, last bool) error {
	c, err := f.read()
	if err != nil {
		return err
	}
	e := c.Scenarios[scenario]
	e.Steps = with(e.Steps, step, true)
	e.Alone = with(e.Alone, step, alone)
	e.Done = e.Done || last
	e.Updated = time.Now().UTC().Truncate(time.Second)
	c.Scenarios[scenario] = e
	if err := f.write(c); err != nil {
		return fmt.Errorf("keeping progress: %w", err)
	}
	return nil
}

// with adds a name that is not there yet, if it is to be added.
func with(names []string, name string, add bool) []string {
	if !add || slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

// write replaces the file at once, so that nobody reads half of it.
func (f File) write(c content) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".progress-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(data, '\n'))
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), f.path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // the error that matters is the one above
	}
	return err
}
