package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"selfprotect/config"
	"selfprotect/ui"
)

// maxUIState bounds what is read of what the console kept, in bytes.
const maxUIState = 1 << 20

// uiState keeps what the console wants to find again in a file beside the journal,
// for its owner alone. It implements ui.Store.
type uiState struct{ path string }

func newUIState(journal string) *uiState {
	return &uiState{filepath.Join(filepath.Dir(journal), "console.json")}
}

// Load gives what was kept, nothing when nothing was.
func (s *uiState) Load() ([]byte, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("what was kept of the last session cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxUIState+1))
	if err == nil && len(data) > maxUIState {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", s.path, err)
	}
	return data, nil
}

// Update replaces the file in one step, so that a crash leaves the old one or the
// new one. A damaged file is put aside first.
func (s *uiState) Update(change func([]byte) ([]byte, bool)) error {
	old, err := s.Load()
	text, damaged := change(old)
	if err != nil || damaged && len(old) > 0 {
		if err := os.Rename(s.path, s.path+".damaged"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), ".console-*") // made 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// consoleChecks lets the configuration ask the console what it knows.
func consoleChecks() config.Console {
	return config.Console{
		Keys: func(keys map[string][]string) []config.ConsoleMistake {
			var out []config.ConsoleMistake
			for _, m := range ui.CheckKeys(keys) {
				out = append(out, config.ConsoleMistake{Key: m.Action, Value: m.Key, Also: m.Also, Message: m.Message, Suggestion: m.Suggestion})
			}
			return out
		},
		Columns: ui.CheckColumns,
		View: func(v config.View) []config.ConsoleMistake {
			var out []config.ConsoleMistake
			for _, m := range view(v).Check() {
				out = append(out, config.ConsoleMistake{Key: m.Key, Message: m.Message, Suggestion: m.Suggestion})
			}
			return out
		},
	}
}

func view(v config.View) ui.View {
	return ui.NewView(v.Name, v.List, v.Filter, v.Sort, v.Columns, v.Group)
}

func views(list []config.View) []ui.View {
	var out []ui.View
	for _, v := range list {
		out = append(out, view(v))
	}
	return out
}
