package journaltest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"selfprotect/journal"
)

// testWriters lets eight writers, on two handles, add one to a sum a hundred times
// each. A lost or doubled record makes the sum wrong.
func testWriters(t *testing.T, s Store) {
	const writers, each = 8, 100
	handles := []Handle{open(t, s), open(t, s)}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			var last journal.Seq
			for done := 0; done < each; {
				seq, err := increment(t, handles[w%len(handles)], last, w)
				switch {
				case err == nil:
					done++
				case !errors.Is(err, journal.ErrConflict):
					t.Errorf("writer %d: %v", w, err)
					return
				}
				last = seq
			}
		})
	}
	wg.Wait()
	got := contents(t, handles[0], 0)
	if len(got) != writers*each {
		t.Fatalf("got %d records, want %d", len(got), writers*each)
	}
	count := map[string]int{}
	for i, p := range got {
		sum, writer, _ := strings.Cut(p, " ")
		if sum != fmt.Sprint(i+1) {
			t.Fatalf("record %d is %q: two writers had the same sum", i+1, p)
		}
		count[writer]++
	}
	for w, n := range count {
		if n != each {
			t.Errorf("writer %s has %d records, want %d", w, n, each)
		}
	}
}

// increment reads on, adds one to the sum that the last record holds, and gives
// the last record that it has seen.
func increment(t *testing.T, l journal.Log, last journal.Seq, writer int) (journal.Seq, error) {
	sum := fmt.Sprint(last)
	err := l.Read(t.Context(), last, func(seq journal.Seq, p []byte) error {
		last = seq
		sum, _, _ = strings.Cut(string(p), " ")
		return nil
	})
	if err != nil {
		return last, err
	}
	var n int
	if _, err := fmt.Sscan(sum, &n); err != nil {
		return last, err
	}
	seq, err := l.Append(t.Context(), last, fmt.Appendf(nil, "%d %d", n+1, writer))
	if err != nil {
		return last, err
	}
	return seq, nil
}
