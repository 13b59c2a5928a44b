#!/bin/sh
# The demo: real su(Hw) peaks of the fly genome, held out in training, explained in several ways.
set -eu
SPARSELRP=${SPARSELRP:-sparselrp}
DEMO=${DEMO:-demo-output}
GENOME=data/chr2R-15-21Mb.fa.gz
PEAKS=data/suhw-peaks.bed
MODEL=models/suhw-dm3
MOTIF=data/suhw-MA0533.1.jaspar
mkdir -p "$DEMO"

echo "1. PLRP (p = 0.1, the default), with tracks, motif-ready files, motifs and the report"
"$SPARSELRP" attribute "$GENOME" -r "$PEAKS" -m "$MODEL" -o "$DEMO/plrp" --restart \
  --formats h5,bigwig,modisco,finemo --report --database data/jaspar2026-insects.meme

echo "2. for comparison: PLRP with p = 0.25, LRP without pruning, and gradient x input (rule 0 everywhere)"
"$SPARSELRP" attribute "$GENOME" -r "$PEAKS" -m "$MODEL" -o "$DEMO/plrp-0.25" -p 0.25 -q --restart
"$SPARSELRP" attribute "$GENOME" -r "$PEAKS" -m "$MODEL" -o "$DEMO/lrp" -p 0 -q --restart
"$SPARSELRP" attribute "$GENOME" -r "$PEAKS" -m "$MODEL" -o "$DEMO/gradient-x-input" -p 0 --composite zero \
  --centre none -q --restart

echo
echo "3. Agreement with matches of the su(Hw) matrix (over 10 bits, both strands), windows called positive:"
"$SPARSELRP" evaluate "$DEMO/gradient-x-input.h5" "$DEMO/lrp.h5" "$DEMO/plrp.h5" "$DEMO/plrp-0.25.h5" --motif "$MOTIF" --min-score 0

echo
echo "4. A deep network (11 convolutions, residual), whose map changes with p: no pruning, 0.05, 0.25"
for P in 0 0.05 0.25; do
  "$SPARSELRP" attribute "$GENOME" -r "$PEAKS" -m models/insulators-dm3 -t suhw -o "$DEMO/deep-$P" -p "$P" -q --restart
done
"$SPARSELRP" evaluate "$DEMO/deep-0.h5" "$DEMO/deep-0.05.h5" "$DEMO/deep-0.25.h5" --motif "$MOTIF" --min-score 0
echo "Neurons that each of its layers keeps in one window with two sites, and the maps, one above the other:"
"$SPARSELRP" plot "$DEMO/deep-0.h5" chr2R:18,880,721-18,880,820 --with "$DEMO/deep-0.05.h5" --with "$DEMO/deep-0.25.h5" \
  -m models/insulators-dm3 -o "$DEMO/deep.png" -q
cat <<END

mass_in_sites is the share of positive relevance inside the sites. Where to look:
  $DEMO/plrp.report.html           open this first: quality, motifs, the best windows in letters
  $DEMO/deep.png                   the deep network's map at three p, and the neurons that its layers keep
  $DEMO/plrp.seqlets.bed           stretches of more relevance than chance gives; plrp.hits.bed: hits of the motifs
  $DEMO/plrp.motifs.meme           the motifs; .tsv with their JASPAR names, p and q values
  $DEMO/plrp.bw                    per-base relevance, for a genome browser (dm3)
  $DEMO/plrp.windows.tsv           score, relevance, background and what was absorbed, for every window
  $DEMO/plrp.ohe.npz, .attr.npz    modisco motifs -s $DEMO/plrp.ohe.npz -a $DEMO/plrp.attr.npz -n 2000 -o m.h5
  $DEMO/plrp.h5                    the archive, of which all other files are made
  $DEMO/plrp.regions.narrowPeak    the windows, row by row, for finemo
  $DEMO/plrp.manifest.json         what was run on what
END
