package ui

// list is a window on rows that are known by id. It draws nothing: it says which
// rows are visible and which one is highlighted. The cursor is an id, so rows that
// come and go above it move neither the cursor nor its place on the screen.
type list struct {
	ids    []string
	cursor string
	idx    int // of the cursor in ids; 0 when there are none
	top    int // index of the first visible row
	height int
	// follow keeps the cursor on the first row until the operator moves.
	follow bool
	// members are the rows behind each row that stands for a group; nil when no row
	// does. A map is not changed after it was set.
	members map[string][]string
}

// set takes new rows. It says whether another row is highlighted now than
// before.
func (l *list) set(ids []string) (moved bool) {
	before := l.cursor
	screen := l.idx - l.top
	l.ids = ids
	switch {
	case len(ids) == 0:
		l.cursor, l.idx, l.top = "", 0, 0
	case l.follow || l.cursor == "":
		l.idx, l.top = 0, 0
		l.cursor = ids[0]
	default:
		if i := l.find(l.cursor); i >= 0 {
			l.idx = i
		} else {
			l.idx = min(l.idx, len(ids)-1) // the neighbour
			l.cursor = ids[l.idx]
		}
		l.top = l.idx - screen
	}
	l.clamp()
	return before != "" && before != l.cursor
}

// find looks near the old place first: rows move little between snapshots.
func (l *list) find(id string) int {
	for d := range len(l.ids) {
		if i := l.idx + d; i < len(l.ids) && l.ids[i] == id {
			return i
		}
		if i := l.idx - d; i >= 0 && i < len(l.ids) && l.ids[i] == id {
			return i
		}
	}
	return -1
}

// clamp keeps the window inside the rows and the cursor inside the window.
func (l *list) clamp() {
	h := max(l.height, 1)
	l.top = min(l.top, len(l.ids)-h)
	l.top = max(l.top, 0)
	if l.idx < l.top {
		l.top = l.idx
	}
	if l.idx >= l.top+h {
		l.top = l.idx - h + 1
	}
}

// resize sets how many rows are visible.
func (l *list) resize(h int) {
	if h != l.height {
		l.height = h
		l.clamp()
	}
}

// move moves the cursor by rows.
func (l *list) move(d int) { l.to(l.idx + d) }

// to moves the cursor to a row.
func (l *list) to(i int) {
	if len(l.ids) == 0 {
		return
	}
	l.idx = max(0, min(i, len(l.ids)-1))
	l.cursor = l.ids[l.idx]
	l.clamp()
}

// visible gives the range of indexes on the screen.
func (l *list) visible() (from, to int) {
	return l.top, min(l.top+max(l.height, 0), len(l.ids))
}
