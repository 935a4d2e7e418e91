package main

import (
	"image"
	"image/color"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

const (
	fontSize = 22.0
	lineSize = 28 // pixels of a line
	margin   = 16
)

// canvas draws cells.
type canvas struct {
	img           *image.RGBA
	plain, strong font.Face
	cellW         int
	baseline      int
	fg, bg        color.RGBA
}

func face(ttf []byte) font.Face {
	f, err := opentype.Parse(ttf)
	if err != nil {
		panic(err) // the font is part of the module
	}
	fc, err := opentype.NewFace(f, &opentype.FaceOptions{Size: fontSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err)
	}
	return fc
}

// drawScreen gives the picture of a screen on a dark or a light ground.
func drawScreen(cells [][]cell, light bool) image.Image {
	c := &canvas{plain: face(gomono.TTF), strong: face(gomonobold.TTF), fg: color.RGBA{0xD6, 0xDB, 0xE1, 255}, bg: color.RGBA{0x10, 0x15, 0x1B, 255}}
	if light {
		c.fg, c.bg = color.RGBA{0x22, 0x27, 0x2E, 255}, color.RGBA{0xFF, 0xFF, 0xFF, 255}
	}
	adv, _ := c.plain.GlyphAdvance('M')
	c.cellW = adv.Round()
	m := c.plain.Metrics()
	c.baseline = (lineSize+m.Ascent.Round()-m.Descent.Round())/2 + 1
	w := 0
	for _, row := range cells {
		w = max(w, len(row))
	}
	c.img = image.NewRGBA(image.Rect(0, 0, w*c.cellW+2*margin, len(cells)*lineSize+2*margin))
	draw.Draw(c.img, c.img.Bounds(), image.NewUniform(c.bg), image.Point{}, draw.Src)
	for y, row := range cells {
		for x, k := range row {
			c.cell(x, y, k)
		}
	}
	return c.img
}

func mix(a, b color.RGBA) color.RGBA {
	return color.RGBA{uint8((int(a.R)*3 + int(b.R)*2) / 5), uint8((int(a.G)*3 + int(b.G)*2) / 5), uint8((int(a.B)*3 + int(b.B)*2) / 5), 255}
}

func (c *canvas) cell(x, y int, k cell) {
	fg, bg := c.fg, c.bg
	if k.fg != nil {
		fg = *k.fg
	}
	if k.bg != nil {
		bg = *k.bg
	}
	if k.reversed {
		fg, bg = bg, fg
	}
	if k.faint {
		fg = mix(fg, bg)
	}
	box := image.Rect(margin+x*c.cellW, margin+y*lineSize, margin+(x+1)*c.cellW, margin+(y+1)*lineSize)
	if bg != c.bg {
		draw.Draw(c.img, box, image.NewUniform(bg), image.Point{}, draw.Src)
	}
	if k.under {
		c.fill(image.Rect(box.Min.X, box.Max.Y-3, box.Max.X, box.Max.Y-1), fg)
	}
	if k.r == ' ' || c.shape(box, k.r, fg) {
		return
	}
	f := c.plain
	if k.bold {
		f = c.strong
	}
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(fg), Face: f, Dot: fixed.P(box.Min.X, box.Min.Y+c.baseline)}
	d.DrawString(string(k.r))
}

func (c *canvas) fill(r image.Rectangle, col color.RGBA) {
	draw.Draw(c.img, r, image.NewUniform(col), image.Point{}, draw.Src)
}

// shape draws lines, blocks and signs, which must meet at the edges of cells or are
// not in the font; it says whether it has.
func (c *canvas) shape(b image.Rectangle, r rune, col color.RGBA) bool {
	midX, midY := (b.Min.X+b.Max.X)/2, (b.Min.Y+b.Max.Y)/2
	switch {
	case r == '─':
		c.fill(image.Rect(b.Min.X, midY-1, b.Max.X, midY), col)
	case r == '━':
		c.fill(image.Rect(b.Min.X, midY-3, b.Max.X, midY+2), col)
	case r == '│':
		c.fill(image.Rect(midX, b.Min.Y, midX+1, b.Max.Y), col)
	case r == '═':
		c.fill(image.Rect(b.Min.X, midY-3, b.Max.X, midY-1), col)
		c.fill(image.Rect(b.Min.X, midY+1, b.Max.X, midY+3), col)
	case r == '║':
		c.fill(image.Rect(midX-3, b.Min.Y, midX-1, b.Max.Y), col)
		c.fill(image.Rect(midX+1, b.Min.Y, midX+3, b.Max.Y), col)
	case r >= '▁' && r <= '█':
		h := (b.Dy() - 4) * int(r-'▁'+1) / 8
		c.fill(image.Rect(b.Min.X, b.Max.Y-2-h, b.Max.X-1, b.Max.Y-2), col)
	case r == '◆':
		c.polygon(midX, midY, 7, col, func(dx, dy int) bool { return abs(dx)+abs(dy) <= 6 })
	case r == '●':
		c.polygon(midX, midY, 7, col, func(dx, dy int) bool { return dx*dx+dy*dy <= 30 })
	case r == '○':
		c.polygon(midX, midY, 7, col, func(dx, dy int) bool { n := dx*dx + dy*dy; return n <= 32 && n >= 16 })
	case r == '▲':
		c.polygon(midX, midY, 7, col, func(dx, dy int) bool { return dy <= 5 && dy >= -6 && 2*abs(dx) <= dy+6 })
	case r == '▽':
		c.polygon(midX, midY, 7, col, func(dx, dy int) bool {
			in := func(dx, dy int) bool { return dy >= -5 && dy <= 6 && 2*abs(dx) <= 6-dy }
			return in(dx, dy) && !(in(dx-1, dy+1) && in(dx+1, dy+1) && in(dx, dy-2) && in(dx-1, dy) && in(dx+1, dy))
		})
	case r == '▸':
		c.polygon(midX, midY, 7, col, func(dx, dy int) bool { return dx >= -4 && dx <= 4 && abs(dy) <= (4-dx)*2/3+1 })
	default:
		return false
	}
	return true
}

// polygon fills the pixels around a point that belong to a sign.
func (c *canvas) polygon(x, y, reach int, col color.RGBA, in func(dx, dy int) bool) {
	for dy := -reach; dy <= reach; dy++ {
		for dx := -reach; dx <= reach; dx++ {
			if in(dx, dy) {
				c.img.SetRGBA(x+dx, y+dy, col)
			}
		}
	}
}

func abs(n int) int { return max(n, -n) }
