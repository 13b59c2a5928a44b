process SPARSELRP_ATTRIBUTE {
    tag "${meta.id}"
    label 'process_medium'

    conda "${moduleDir}/environment.yml"

    input:
    tuple val(meta), path(regions)
    tuple val(meta2), path(fasta)
    tuple val(meta3), path(model), val(factory), path(weights)

    output:
    tuple val(meta), path("${prefix}.h5")           , emit: archive
    tuple val(meta), path("${prefix}.windows.tsv")  , emit: windows
    tuple val(meta), path("${prefix}.skipped.tsv")  , emit: skipped
    tuple val(meta), path("${prefix}.manifest.json"), emit: manifest
    tuple val(meta), path("${prefix}_mqc.tsv")      , emit: multiqc
    tuple val(meta), path("${prefix}*.bw")          , emit: bigwig, optional: true
    tuple val(meta), path("${prefix}*.report.html") , emit: report, optional: true
    tuple val(meta), path("${prefix}*.motifs*")     , emit: motifs, optional: true
    tuple val(meta), path("${prefix}*.bed")         , emit: bed, optional: true
    path "versions.yml"                             , emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def of_regions = regions ? "-r ${regions}" : ''
    def of_weights = weights ? "-w ${weights}" : ''
    def named = factory ? "${model}:${factory}" : "${model}"
    """
    sparselrp attribute ${fasta} ${of_regions} -m ${named} ${of_weights} \\
        --threads ${task.cpus} ${args} -o ${prefix}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        sparselrp: \$(sparselrp --version)
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.h5 ${prefix}.windows.tsv ${prefix}.skipped.tsv ${prefix}.manifest.json ${prefix}_mqc.tsv ${prefix}.bw

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        sparselrp: \$(sparselrp --version)
    END_VERSIONS
    """
}
