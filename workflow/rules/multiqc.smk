rule multiqc:
    input:
        expand(RUN, sample=SAMPLES, model=MODELS),
    output:
        f"{OUT}/multiqc_report.html",
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
