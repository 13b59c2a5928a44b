# PREFIX.partial, where the tool keeps the work of an interrupted shard, isn't an output: Snakemake deletes the
# outputs of a failed job, and the next attempt goes on from that file. The tool removes it when it is done.
# exec: a batch system's signal must reach the tool, not a shell that dies of it and leaves the tool behind.
rule attribute:
    input:
        genome=genome,
        regions=regions,
        model=model_specs,
        weights=model_weights,
        tokens=model_tokens,
        targets=targets_file,
    output:
        archive=shard_file(".h5"),
        windows=shard_file(".windows.tsv"),
        skipped=shard_file(".skipped.tsv"),
        manifest=shard_file(".manifest.json"),
        multiqc=shard_file("_mqc.tsv"),
    log:
        f"{OUT}/logs/attribute/{{sample}}.{{model}}.{{shard}}.log",
    benchmark:
        f"{OUT}/benchmarks/attribute/{{sample}}.{{model}}.{{shard}}.tsv"
    retries: RETRIES
    conda:
        "../envs/sparselrp.yaml"
    threads: config["resources"]["attribute"]["threads"]
    resources:
        **GPUS,
        mem_mb=more_memory_each_time("attribute"),
        runtime=config["resources"]["attribute"]["runtime"],
    params:
        prefix=subpath(output.archive, strip_suffix=".h5"),
        inputs=inputs_as_options,
        settings=settings_as_options,
        shards=len(SHARDS),
    shell:
        "exec sparselrp attribute {input.genome:q} {params.inputs} {params.settings} --threads {threads}"
        " --shard {wildcards.shard}/{params.shards} --resume --formats h5 -o {params.prefix:q} 2> {log:q}"


# A folder, since the names of the tracks depend on the targets and on how many models are averaged.
rule merge:
    input:
        archives=expand(f"{SHARD}.h5", shard=SHARDS, allow_missing=True),
        skipped=expand(f"{SHARD}.skipped.tsv", shard=SHARDS, allow_missing=True),
    output:
        run=directory(RUN),
    log:
        f"{OUT}/logs/merge/{{sample}}.{{model}}.log",
    benchmark:
        f"{OUT}/benchmarks/merge/{{sample}}.{{model}}.tsv"
    retries: RETRIES
    conda:
        "../envs/sparselrp.yaml"
    resources:
        mem_mb=more_memory_each_time("merge"),
        runtime=config["resources"]["merge"]["runtime"],
    params:
        formats=FORMATS,
        overlap=config["overlap"],
    shell:
        "mkdir -p {output.run:q} && "
        "exec sparselrp merge {input.archives:q} -o {output.run:q}/{wildcards.sample}.{wildcards.model}"
        " --formats {params.formats} --overlap {params.overlap} 2> {log:q}"
