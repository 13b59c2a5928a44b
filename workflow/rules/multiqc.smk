rule multiqc:
    input:
        expand(RUN, sample=SAMPLES, model=MODELS),
        for_every_target(f"{OUT}/motifs/{PAIR}.motifs_mqc.tsv")
        if config["motifs"]["enabled"]
        else [],
    output:
        report(
            f"{OUT}/multiqc_report.html",
            caption="../report/multiqc.rst",
            category="All runs",
            labels={"what": "quality"},
        ),
    log:
        f"{OUT}/logs/multiqc.log",
    conda:
        "../envs/multiqc.yaml"
    resources:
        mem_mb=more_memory_each_time("multiqc"),
        runtime=config["resources"]["multiqc"]["runtime"],
    params:
        folder=subpath(output[0], parent=True),
        name=subpath(output[0], basename=True),
    shell:
        "multiqc --force --no-data-dir --outdir {params.folder:q} --filename {params.name:q} {input:q}"
        " 2> {log:q}"
