package main

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"vspherepool/benchmarks/load"
)

const (
	width, height = 26 * vg.Centimeter, 18 * vg.Centimeter
	dpi           = 110
	gap           = vg.Length(8)
	// legendWidth is the room to the right of the charts.
	legendWidth = vg.Length(110)
)

// page has the table and the charts.
const page = `<!DOCTYPE html>
<meta charset="utf-8">
<title>loadtest</title>
<pre>%s</pre>
<svg%s`

// The colours are told apart by most people who do not see all of them (Okabe and Ito).
var (
	blue   = color.RGBA{0, 114, 178, 255}
	orange = color.RGBA{230, 159, 0, 255}
	red    = color.RGBA{213, 94, 0, 255}
	green  = color.RGBA{0, 158, 115, 255}
	pink   = color.RGBA{204, 121, 167, 255}
)

// series is one line of a chart.
type series struct {
	name   string
	color  color.Color
	points []load.Point
	value  func(load.Point) float64
}

// drawFile makes a file of the kind that its name ends with. Whatever it is, it needs no other file, and no network.
func drawFile(file, table string, r load.Result) error {
	var text bytes.Buffer
	if err := render(&text, filepath.Ext(file), table, r); err != nil {
		return fmt.Errorf("draw plot: %w", err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("draw plot: %w", err)
	}
	return nil
}

func render(out io.Writer, format, table string, r load.Result) error {
	if format == ".png" {
		canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(dpi))}
		if err := charts(draw.New(canvas), r); err != nil {
			return err
		}
		_, err := canvas.WriteTo(out)
		return err
	}
	canvas := vgsvg.New(width, height)
	if err := charts(draw.New(canvas), r); err != nil {
		return err
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	text := svg.Bytes()
	if format == ".html" {
		_, inline, _ := bytes.Cut(text, []byte("<svg"))
		text = fmt.Appendf(nil, page, html.EscapeString(table), inline)
	}
	_, err := out.Write(text)
	return err
}

// charts draws latency above throughput, second by second, on the same axis of time.
func charts(canvas draw.Canvas, r load.Result) error {
	latency, err := chart("ms", latencies(r))
	if err != nil {
		return err
	}
	latency.Title.Text = "latency"
	logarithmic(&latency.Y)
	throughput, err := chart("1/s", rates(r))
	if err != nil {
		return err
	}
	throughput.Title.Text = "throughput"
	throughput.Y.Min = 0
	throughput.Y.Max = max(1, throughput.Y.Max*1.1)
	throughput.X.Label.Text = "s"
	throughput.Y.Tick.Marker = plain
	for _, p := range []*plot.Plot{latency, throughput} {
		p.X.Min, p.X.Max = 0, max(1, r.Took.Seconds())
		p.X.Tick.Marker = plain
	}
	rows := [][]*plot.Plot{{latency}, {throughput}}
	tiles := draw.Tiles{Rows: 2, Cols: 1, PadTop: gap, PadBottom: gap, PadLeft: gap, PadRight: legendWidth, PadY: 2 * gap}
	for i, tile := range plot.Align(rows, tiles, canvas) {
		rows[i][0].Draw(tile[0])
	}
	return nil
}

func latencies(r load.Result) []series {
	p50 := func(p load.Point) float64 { return inMilliseconds(p.P50) }
	p99 := func(p load.Point) float64 { return inMilliseconds(p.P99) }
	most := func(p load.Point) float64 { return inMilliseconds(p.Max) }
	var all []series
	if seconds := r.Requests.Seconds; seconds != nil {
		all = append(all, series{"max", orange, seconds, most}, series{"p99", red, seconds, p99}, series{"p50", blue, seconds, p50})
	}
	if r.Polls != nil {
		all = append(all, series{"polls p99", pink, r.Polls.Seconds, p99}, series{"polls p50", green, r.Polls.Seconds, p50})
	}
	for i := range all {
		all[i].points = ended(all[i].points)
	}
	return all
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// ended leaves out the seconds in which no request has ended, and which have no latency.
func ended(points []load.Point) (some []load.Point) {
	for _, p := range points {
		if p.Count > 0 {
			some = append(some, p)
		}
	}
	return some
}

func rates(r load.Result) []series {
	all := rate("requests", blue, red, whole(r.Requests.Seconds, r.Took))
	if r.Polls != nil {
		all = append(all, rate("polls", green, pink, whole(r.Polls.Seconds, r.Took))...)
	}
	return all
}

// rate has errors in a line of their own, if there are any.
func rate(name string, good, bad color.Color, seconds []load.Point) []series {
	errors := series{name + " failed", bad, seconds, func(p load.Point) float64 { return float64(p.Errors) }}
	all := []series{{name, good, seconds, func(p load.Point) float64 { return float64(p.Count) }}}
	if slices.ContainsFunc(seconds, func(p load.Point) bool { return p.Errors > 0 }) {
		all = append(all, errors)
	}
	return all
}

// whole leaves out a last second that was shorter, unless there is no other.
func whole(points []load.Point, took time.Duration) []load.Point {
	if full := int(took / time.Second); full > 0 && full < len(points) {
		return points[:full]
	}
	return points
}

func chart(unit string, all []series) (*plot.Plot, error) {
	p := plot.New()
	p.Y.Label.Text = unit
	p.Legend.Top, p.Legend.XOffs, p.Legend.Padding = true, legendWidth-gap, vg.Points(3)
	for _, style := range []*draw.TextStyle{
		&p.Title.TextStyle, &p.Legend.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label,
	} {
		style.Font.Variant = "Sans"
	}
	p.Add(plotter.NewGrid())
	for _, s := range all {
		if len(s.points) == 0 {
			continue
		}
		line, err := plotter.NewLine(s)
		if err != nil {
			return nil, fmt.Errorf("draw %s: %w", s.name, err)
		}
		line.Color, line.Width = s.color, vg.Points(1.5)
		p.Add(line)
		p.Legend.Add(s.name, line)
	}
	return p, nil
}

// Len and XY are what the plotter asks for. A point stands in the middle of its second.
func (s series) Len() int { return len(s.points) }

// XY is the point of one second.
func (s series) XY(i int) (x, y float64) {
	return float64(s.points[i].Second) + 0.5, s.value(s.points[i])
}

// logarithmic axes have whole decades, and at least one.
func logarithmic(axis *plot.Axis) {
	low, high := axis.Min, axis.Max
	if math.IsInf(low, 0) || low <= 0 {
		low, high = 0.1, 1
	}
	axis.Min = math.Pow(10, math.Floor(math.Log10(low)))
	axis.Max = math.Pow(10, math.Ceil(math.Log10(high)))
	if axis.Max <= axis.Min {
		axis.Max = axis.Min * 10
	}
	axis.Scale = plot.LogScale{}
	axis.Tick.Marker = plot.TickerFunc(decades)
}

// decades labels the powers of ten, which plot.LogTicks does not always do at the ends.
func decades(low, high float64) (ticks []plot.Tick) {
	for power := math.Round(math.Log10(low)); power <= math.Round(math.Log10(high)); power++ {
		base := math.Pow(10, power)
		ticks = append(ticks, plot.Tick{Value: base, Label: strconv.FormatFloat(base, 'g', 6, 64)})
		for digit := 2.0; digit < 10 && digit*base < high; digit++ {
			ticks = append(ticks, plot.Tick{Value: digit * base})
		}
	}
	return ticks
}

// plain labels have no digits that say nothing: 500, and not 500.00.
var plain = plot.TickerFunc(func(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'f', -1, 64)
		}
	}
	return ticks
})
