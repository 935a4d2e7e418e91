package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"selfprotect/journal"
)

// payload has the size of a usual event.
func payload(i int) []byte {
	return fmt.Appendf(nil, `{"v":1,"kind":"applied","at":"2026-01-02T03:04:05.678901234Z","prefix":"203.0.113.%d/32","acl":"acl-0123456789abcdef0","direction":"inbound","number":%d,"alert":"5f3b9a1c-0000-4000-8000-%012d","reason":"rule 11111111-2222-3333-4444-555555555555","actor":"auto"}`, i%256, i%99+1, i)
}

// filled makes a journal with n records, and a checkpoint 100 records before its
// end.
func filled(b *testing.B, n int) *journal.SQLite {
	b.Helper()
	s := openJournal(b, filepath.Join(b.TempDir(), "journal.db"))
	var last journal.Seq
	for int(last) < n {
		var p [][]byte
		for i := range min(10_000, n-int(last)) {
			p = append(p, payload(int(last)+i))
		}
		seq, err := s.Append(b.Context(), last, p...)
		must(b, err)
		last = seq
	}
	must(b, s.SaveCheckpoint(b.Context(), last-100, make([]byte, 5<<20)))
	return s
}

// records is the size of the long journal: a tenth of the budget's, unless
// JOURNAL_BENCH_RECORDS says otherwise.
func records(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("JOURNAL_BENCH_RECORDS"))
	if err != nil {
		n = 100_000
	}
	return n
}

func BenchmarkRead(b *testing.B) {
	n := records(b)
	s := filled(b, n)
	for b.Loop() {
		must(b, s.Verify(b.Context()))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}

// BenchmarkStart is what the start of the program asks of a long journal: open,
// load the checkpoint, read the rest.
func BenchmarkStart(b *testing.B) {
	path := filled(b, records(b)).Path()
	for b.Loop() {
		s, err := journal.Open(path)
		must(b, err)
		seq, _, ok, err := s.LoadCheckpoint(b.Context())
		must(b, err)
		count := 0
		must(b, s.Read(b.Context(), seq, func(journal.Seq, []byte) error { count++; return nil }))
		if !ok || count != 100 {
			b.Fatalf("checkpoint %v, %d records after it", ok, count)
		}
		must(b, s.Close())
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := openJournal(b, filepath.Join(b.TempDir(), "journal.db"))
			var p [][]byte
			for i := range n {
				p = append(p, payload(i))
			}
			var last journal.Seq
			for b.Loop() {
				seq, err := s.Append(b.Context(), last, p...)
				must(b, err)
				last = seq
			}
		})
	}
}

func BenchmarkHead(b *testing.B) {
	s := filled(b, 1000)
	for b.Loop() {
		_, err := s.Head(b.Context())
		must(b, err)
	}
}

func BenchmarkLease(b *testing.B) {
	s := filled(b, 1000)
	for b.Loop() {
		held, _, _, err := s.Lease(b.Context(), "x", "a", time.Minute)
		if must(b, err); !held {
			b.Fatal("not held")
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := closed(b)
	for b.Loop() {
		must(b, openJournal(b, path).Close())
	}
}
