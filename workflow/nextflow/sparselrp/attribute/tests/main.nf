#!/usr/bin/env nextflow

// nextflow run main.nf -stub-run: what the module would make of a table of samples, without computing.
// Samples, genome, model: as params, such as --samples samples.tsv --model models/suhw-dm3.
nextflow.enable.dsl = 2

include { SPARSELRP_ATTRIBUTE } from '../main.nf'

params.samples = "${projectDir}/samples.tsv"
params.model = "${projectDir}/../../../../../models/suhw-dm3"
params.factory = ''
params.weights = ''

workflow {
    samples = Channel.fromPath(params.samples).splitCsv(header: true, sep: '\t')
    regions = samples.map { row -> [[id: row.sample], row.regions ? file(row.regions) : []] }
    genomes = samples.map { row -> [[id: file(row.genome).name], file(row.genome)] }
    model = [[id: file(params.model).name], file(params.model), params.factory, params.weights ? file(params.weights) : []]
    SPARSELRP_ATTRIBUTE(regions, genomes, model)
    SPARSELRP_ATTRIBUTE.out.archive.view()
}
